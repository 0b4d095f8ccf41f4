// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {RetrievalScene} from "./RetrievalScene.sol";
import {Stories} from "./Stories.sol";

/// @title retrieval-stories.jsonl, replayed against the retrieval contract.
contract RetrievalScenariosTest is Stories, RetrievalScene {
    uint256 private constant NONCE = 1;
    IRetrieval.Terms private _told;

    constructor() Stories("vectors/retrieval-stories.jsonl", "vectors/retrieval-machine.json") {}

    function _begin(bool ether_) internal override {
        setUp();
        _money = ether_ ? address(0) : address(token);
        uint256 retiresAt = _number(".model.retiresAt");
        if (retiresAt != 0) {
            vm.warp(retiresAt - registry.NOTICE_PERIOD());
            vm.prank(seller);
            registry.retire(modelId);
        }
        _eq(registry.model(modelId).registeredBlock, _number(".model.registeredBlock"), "registered block");
        _told = _readTerms();
        _id = retrieval.requestIdOf(buyer, NONCE, _told);
    }

    function _readTerms() private view returns (IRetrieval.Terms memory terms) {
        terms = _offer(_money);
        if (!_truth(".model.registered")) terms.modelId = keccak256("unknown");
        terms.shards = uint32(_number(".terms.shards"));
        terms.samples = uint32(_number(".terms.samples"));
        terms.maxItems = uint32(_number(".terms.maxItems"));
        terms.pricePerItem = uint128(_number(".terms.pricePerItem"));
        terms.scanFee = uint128(_number(".terms.scanFee"));
        terms.requesterBond = uint128(_number(".terms.requesterBond"));
        terms.bond = uint128(_number(".terms.bond"));
        terms.contestFee = uint128(_number(".terms.contestFee"));
        terms.acceptBy = uint48(_number(".terms.acceptBy"));
        terms.claimBy = uint48(_number(".terms.claimBy"));
        terms.window = uint32(_number(".terms.window"));
        terms.proveTime = uint32(_number(".terms.proveTime"));
        terms.receiptTime = uint32(_number(".terms.receiptTime"));
    }

    function _call(string memory j, string memory name)
        internal
        view
        override
        returns (uint256 value, bytes memory data)
    {
        if (_same(name, "open") || _same(name, "accept") || _same(name, "contest")) {
            value = _money == address(0) ? _arg(j, "value") : 0;
        }
        if (_same(name, "open")) return (value, abi.encodeCall(retrieval.open, (_told, NONCE)));
        if (_same(name, "accept")) return (value, abi.encodeCall(retrieval.accept, _id));
        if (_same(name, "contest")) {
            return (value, abi.encodeCall(retrieval.contest, (_id, uint32(_arg(j, "index")))));
        }
        if (_same(name, "cancel")) return (0, abi.encodeCall(retrieval.cancel, _id));
        if (_same(name, "reject")) return (0, abi.encodeCall(retrieval.reject, _id));
        if (_same(name, "expire")) return (0, abi.encodeCall(retrieval.expire, _id));
        if (_same(name, "withdraw")) return (0, abi.encodeCall(retrieval.withdraw, _money));
        if (_same(name, "claim")) return (0, _claimCall(j));
        if (_same(name, "answer")) return (0, _answerCall(j));
        if (_same(name, "approve")) {
            bytes32 root = retrieval.request(_id).claimRoot;
            bytes memory signature = _signer(j, BUYER_KEY, SELLER_KEY, retrieval.approvalDigest(_id, root, CIPHERTEXT));
            return (0, abi.encodeCall(retrieval.approve, (_id, signature)));
        }
        revert UnknownName(name);
    }

    function _claimCall(string memory j) private view returns (bytes memory) {
        SumTree.Node memory top = _sumNode(_found(j), 0, _height());
        (uint32 top1, uint32 topk) = (uint32(top.sums >> 64), uint32(top.sums >> 128));
        return abi.encodeCall(retrieval.claim, (_id, top.hash, top1, topk, CIPHERTEXT));
    }

    function _answerCall(string memory j) private view returns (bytes memory) {
        IShards.ShardProof[] memory all = _found(j);
        uint32 index = uint32(_arg(j, "index"));
        IShards.ShardProof memory shown;
        if (index < all.length) shown = all[index];
        else shown.shard.index = index;
        return abi.encodeCall(retrieval.answer, (_id, shown, _sumPath(all, index < all.length ? index : 0)));
    }

    /// @dev Every shard with the counts of a claim, some of them with a proof that the verifier rejects.
    function _found(string memory j) private view returns (IShards.ShardProof[] memory all) {
        all = new IShards.ShardProof[](dataset.length);
        for (uint32 k = 0; k < all.length; ++k) {
            uint256[] memory counts = _numbers(_step(j, string.concat("args.counts[", vm.toString(k), "]")));
            all[k] = _match(_id, IShards.Shard(k, dataset[k], uint32(counts[0]), uint32(counts[1])));
        }
        uint256[] memory rejected = _numbers(_step(j, "args.rejected"));
        for (uint256 k = 0; k < rejected.length; ++k) {
            all[rejected[k]].proof[0] ^= 0x01;
        }
    }

    function _state() internal view override returns (uint256) {
        return uint256(retrieval.request(_id).state);
    }

    function _contract() internal view override returns (address) {
        return address(retrieval);
    }

    function _people() internal view override returns (address[3] memory, string[3] memory) {
        return ([buyer, seller, stranger], ["requester", "responder", "stranger"]);
    }

    function _balance(address who) internal view override returns (uint256) {
        return _money == address(0) ? who.balance : token.balanceOf(who);
    }
}
