// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {ILedger} from "../src/ILedger.sol";
import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {RetrievalScene} from "./RetrievalScene.sol";

/// @title Claims, proofs and terms of retrievals that are refused.
contract RetrievalLiesTest is RetrievalScene {
    // ---- lies

    /// @dev A claim of less, or of more, than the proofs say has no leaf for them.
    function test_aFalseCountHasNoAnswer() public {
        for (uint32 lie = 1; lie < 4; lie += 2) {
            bytes32 id = _counted(_offer(address(0)), lie);
            _doubt(id, 0);
            // The proof is of two matches.
            IShards.ShardProof[] memory true_ = _matches(id, 2);
            SumTree.Node[] memory path = _sumPath(_matches(id, lie), 0);
            bytes32 claimRoot = retrieval.request(id).claimRoot;
            SumTree.Node memory leaf = SumTree.leaf(0, 4, 2, 4, keccak256(true_[0].proof));
            bytes32 found = this.climb(leaf, path);
            vm.expectRevert(abi.encodeWithSelector(IShards.ShardNotInClaim.selector, claimRoot, found));
            retrieval.answer(id, true_[0], path);
        }
    }

    function climb(SumTree.Node memory leaf, SumTree.Node[] calldata path) external pure returns (bytes32) {
        return SumTree.climb(leaf, 0, 3, path);
    }

    /// @dev The claimed leaf is there, but what it says is not proven.
    function test_aFalseProofIsRefused() public {
        bytes32 id = _taken(_offer(address(0)));
        IShards.ShardProof[] memory all = _matches(id, 2);
        all[0].shard.top1 = 1;
        SumTree.Node memory top = _sumNode(all, 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
        _doubt(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IShards.ProofRejected.selector, 0));
        retrieval.answer(id, all[0], _sumPath(all, 0));
    }

    /// @dev Proofs are bound to contract, request, shard and payee; commitments to the roots.
    function test_aProofOfAnotherRequestIsRefused() public {
        bytes32 other = _counted(_offer(address(0)), 2);
        bytes32 id = _taken(_offer(address(0)));
        IShards.ShardProof[] memory all = _matches(other, 2);
        SumTree.Node memory top = _sumNode(all, 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
        _doubt(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IShards.ProofRejected.selector, 0));
        retrieval.answer(id, all[0], _sumPath(all, 0));
    }

    function test_otherItemsAreRefused() public {
        bytes32 id = _taken(_offer(address(0)));
        IShards.ShardProof[] memory all = _matches(id, 2);
        all[0].shardPoints = abi.encode(9, 9, 9, 9);
        SumTree.Node memory top = _sumNode(all, 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
        _doubt(id, 0);
        _refused(abi.encodeCall(retrieval.answer, (id, all[0], _sumPath(all, 0))), IShards.ShardNotInDataset.selector);
    }

    /// @dev By the selector alone.
    function _refused(bytes memory call_, bytes4 expected) private {
        (bool ok, bytes memory answer) = address(retrieval).call(call_);
        _isTrue(!ok && bytes4(answer) == expected, "refused by this rule");
    }

    function test_answersOutOfPlaceAreRefused() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        IShards.ShardProof[] memory all = _matches(id, 2);
        SumTree.Node[] memory path = _sumPath(all, 1);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.WrongState.selector, IRetrieval.State.Claimed));
        retrieval.answer(id, all[1], path);
        _doubt(id, 0);
        _doubt(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IShards.ShardNotContested.selector, 2));
        retrieval.answer(id, all[2], path);
        vm.expectRevert(abi.encodeWithSelector(IShards.PathLength.selector, 2, 0));
        retrieval.answer(id, all[1], new SumTree.Node[](0));
        retrieval.answer(id, all[1], path);
        vm.expectRevert(abi.encodeWithSelector(IShards.ShardAlreadyProven.selector, 1));
        retrieval.answer(id, all[1], path);
        vm.deal(buyer, 40);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IShards.ShardAlreadyContested.selector, 1));
        retrieval.contest{value: 40}(id, 1);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IShards.ShardOutOfRange.selector, 3, 3));
        retrieval.contest{value: 40}(id, 3);
    }

    // ---- terms

    function _opens(IRetrieval.Terms memory terms, bytes memory reason) private {
        vm.deal(buyer, WEALTH);
        vm.expectRevert(reason);
        vm.prank(buyer);
        retrieval.open{value: 600}(terms, 1 << 128);
    }

    function test_termsRules() public {
        IRetrieval.Terms memory t = _offer(address(0));
        t.modelId = keccak256("unknown");
        _opens(t, abi.encodeWithSelector(IDeal.UnknownModel.selector, t.modelId));
        t = _offer(address(0));
        t.modelId = _register(1);
        _opens(t, abi.encodeWithSelector(IDeal.ModelNotEarlier.selector, block.number, block.number));
        t = _offer(address(0x1234));
        _opens(t, abi.encodeWithSelector(IDeal.TokenWithoutCode.selector, address(0x1234)));
        t = _offer(address(0));
        t.shards = 0;
        _opens(t, abi.encodeWithSelector(IRetrieval.ShardsOutOfRange.selector, 0, 10));
        t.shards = 11;
        _opens(t, abi.encodeWithSelector(IRetrieval.ShardsOutOfRange.selector, 11, 10));
        t = _offer(address(0));
        t.bond = 529;
        _opens(t, abi.encodeWithSelector(IRetrieval.BondTooSmall.selector, 530, 529));
        t = _offer(address(0));
        (t.maxItems, t.pricePerItem) = (type(uint32).max, type(uint128).max);
        uint256 most = uint256(type(uint32).max) * type(uint128).max + 30;
        _opens(t, abi.encodeWithSelector(IRetrieval.BondTooSmall.selector, most, 577));
        t = _offer(address(0));
        t.acceptBy = uint48(block.timestamp);
        _opens(t, abi.encodeWithSelector(IRetrieval.DeadlinesOutOfOrder.selector, block.timestamp, t.acceptBy, 4000));
        t = _offer(address(0));
        t.claimBy = 2000;
        _opens(t, abi.encodeWithSelector(IRetrieval.DeadlinesOutOfOrder.selector, block.timestamp, 2000, 2000));
        t = _offer(address(0));
        t.receiptTime = 0;
        _opens(t, abi.encodeWithSelector(IRetrieval.NoTimeToJudge.selector, 500, 300, 0));
        t = _offer(address(0));
        uint256 latest = block.timestamp + registry.NOTICE_PERIOD();
        t.claimBy = uint48(latest - 999);
        _opens(t, abi.encodeWithSelector(IShards.AgreementTooLong.selector, latest + 1, latest));
        t = _offer(address(0));
        t.scanFee = 71;
        _opens(t, abi.encodeWithSelector(ILedger.WrongValue.selector, 601, 600));
        vm.prank(seller);
        registry.retire(modelId);
        uint48 retires = uint48(registry.model(modelId).retiresAt);
        _opens(_offer(address(0)), abi.encodeWithSelector(IDeal.ModelRetiring.selector, modelId, retires));
    }

    function test_onceUnderANonce() public {
        IRetrieval.Terms memory t = _offer(address(0));
        bytes32 id = retrieval.requestIdOf(buyer, 5, t);
        vm.prank(buyer);
        _eq(retrieval.open{value: 600}(t, 5), id, "id");
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.AlreadyOpened.selector, id));
        vm.prank(buyer);
        retrieval.open{value: 600}(t, 5);
        // Nor once it ended: terminal states absorb.
        vm.prank(buyer);
        retrieval.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.AlreadyOpened.selector, id));
        vm.prank(buyer);
        retrieval.open{value: 600}(t, 5);
        // Somebody else's request of the same terms and nonce is another one.
        vm.prank(stranger);
        _isTrue(retrieval.open{value: 600}(t, 5) != id, "another id");
    }
}
