// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {Retrieval} from "../src/Retrieval.sol";
import {SumTree} from "../src/SumTree.sol";
import {Scene} from "./Scene.sol";

/// @title A retrieval contract beside the scene's escrow: the buyer asks, the seller answers, over the same three shards.
abstract contract RetrievalScene is Scene {
    Retrieval internal retrieval;
    uint256 internal _nonce;

    function setUp() public virtual override {
        super.setUp();
        retrieval = new Retrieval(registry);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(_people()[i]);
            token.approve(address(retrieval), type(uint256).max);
        }
    }

    function _contract() internal view virtual override returns (address) {
        return address(retrieval);
    }

    function _offer(address money) internal view returns (IRetrieval.Terms memory) {
        return IRetrieval.Terms({
            modelId: modelId,
            corpusRoot: keccak256("corpus"),
            datasetRoot: _root(),
            readingKey: keccak256("key"),
            token: money,
            shards: uint32(dataset.length),
            samples: 10,
            wantedClass: 7,
            maxItems: 5,
            pricePerItem: 100,
            scanFee: 70,
            requesterBond: 30,
            bond: 577,
            contestFee: 40,
            acceptBy: 2000,
            claimBy: 4000,
            window: 500,
            proveTime: 300,
            receiptTime: 200
        });
    }

    /// @dev In ether, or nothing where tokens are meant.
    function _wei(IRetrieval.Terms memory terms, uint256 amount) internal pure returns (uint256) {
        return terms.token == address(0) ? amount : 0;
    }

    function _price(IRetrieval.Terms memory terms) internal pure returns (uint256) {
        return uint256(terms.maxItems) * terms.pricePerItem + terms.scanFee + terms.requesterBond;
    }

    function _ask(IRetrieval.Terms memory terms) internal returns (bytes32) {
        vm.prank(buyer);
        return retrieval.open{value: _wei(terms, _price(terms))}(terms, _nonce++);
    }

    function _taken(IRetrieval.Terms memory terms) internal returns (bytes32 id) {
        id = _ask(terms);
        vm.prank(seller);
        retrieval.accept{value: _wei(terms, terms.bond)}(id);
    }

    /// @dev The claim that `first` items of the first shard match, and one of each other.
    function _counted(IRetrieval.Terms memory terms, uint32 first) internal returns (bytes32 id) {
        id = _taken(terms);
        SumTree.Node memory top = _sumNode(_matches(id, first), 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
    }

    function _doubt(bytes32 id, uint32 index) internal {
        uint256 value = _wei(retrieval.request(id).terms, 40);
        vm.prank(buyer);
        retrieval.contest{value: value}(id, index);
    }

    function _show(bytes32 id, uint32 first, uint32 index) internal {
        IShards.ShardProof[] memory all = _matches(id, first);
        retrieval.answer(id, all[index], _sumPath(all, index));
    }

    function _matches(bytes32 id, uint32 first) internal view returns (IShards.ShardProof[] memory all) {
        all = new IShards.ShardProof[](dataset.length);
        for (uint32 i = 0; i < all.length; ++i) {
            uint32 top1 = i == 0 ? first : 1;
            all[i] = _shardProof(id, IShards.Shard(i, dataset[i], top1, dataset[i]));
        }
    }

    function _isIn(bytes32 id, IRetrieval.State expected) internal view {
        _eq(uint256(retrieval.request(id).state), uint256(expected), "state");
    }

    /// @dev Credits of requester, responder and nobody, and what is held for them alone.
    function _pays(address money, uint256 toRequester, uint256 toResponder, uint256 burnt) internal view {
        _eq(retrieval.credit(address(0xdEaD), money), burnt, "burnt");
        _owes(money, toRequester, toResponder, toRequester + toResponder + burnt);
    }
}
