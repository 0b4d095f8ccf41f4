// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IShards} from "../src/IShards.sol";
import {Scene} from "./Scene.sol";

/// @title What each call costs as a transaction of its own, in snapshots/Gas.json.
/// @dev The verifier here costs about 2,000 gas and its proof is one word: what remains of `proveShard` is the
/// escrow's own part. `FORGE_SNAPSHOT_CHECK=true forge test` fails when a number moves.
contract GasTest is Scene {
    /// forge-config: default.isolate = true
    function test_gasInEther() public {
        _road(address(0), "ether");
    }

    /// forge-config: default.isolate = true
    function test_gasInTokens() public {
        _road(address(token), "token");
    }

    /// @dev A claim settled by approval, by silence and after a contest.
    function _road(address money, string memory in_) private {
        IAgreement.Terms memory terms = _optimistic(money);
        // Not the first of their kind: counters and totals are already there.
        _open(terms);
        bytes32 id = _begin(terms, in_);
        _snapClaim(id, in_);
        bytes memory signature = _sign(BUYER_KEY, escrow.approvalDigest(id, escrow.agreement(id).claimRoot));
        escrow.approve(id, signature);
        _snap("approve and settle", in_);
        vm.prank(seller);
        escrow.withdraw(money);
        _snap("withdraw", in_);

        id = _claimed(terms, 0);
        _contest(id, 1);
        _snap("contest", in_);
        _answer(id, _counts(id, 0), 1);
        _snap("answer a contest", in_);
        vm.warp(block.timestamp + 501);
        escrow.expire(id);
        _snap("settle after the window", in_);
        vm.warp(T0);
        _otherEnds(terms, in_);
        _eagerly(money, in_);
    }

    function _begin(IAgreement.Terms memory terms, string memory in_) private returns (bytes32 id) {
        bool ether_ = terms.token == address(0);
        vm.prank(buyer);
        id = escrow.open{value: ether_ ? terms.price + terms.buyerBond : 0}(terms);
        _snap("open", in_);
        vm.prank(seller);
        escrow.accept{value: ether_ ? terms.bond : 0}(id);
        _snap("accept", in_);
        vm.roll(block.number + 2);
        escrow.draw(id);
        _snap("draw", in_);
        vm.prank(seller);
        escrow.proceed(id, CIPHERTEXT, "");
        _snap("proceed", in_);
        vm.prank(seller);
        escrow.acknowledge(id, CIPHERTEXT, "");
        _snap("acknowledge", in_);
    }

    function _snapClaim(bytes32 id, string memory in_) private {
        _claim(id, _counts(id, 0));
        _snap("claim", in_);
    }

    function _otherEnds(IAgreement.Terms memory terms, string memory in_) private {
        bytes32 id = _open(terms);
        vm.prank(buyer);
        escrow.cancel(id);
        _snap("cancel", in_);
        id = _drawn(terms);
        vm.prank(buyer);
        escrow.send(id, CIPHERTEXT);
        _snap("send", in_);
        vm.prank(seller);
        escrow.deny(id);
        _snap("deny", in_);
        id = _drawn(terms);
        vm.prank(seller);
        escrow.decline(id);
        _snap("decline", in_);
        id = _drawn(terms);
        bytes memory signature = _sign(SELLER_KEY, escrow.previewDigest(id, CIPHERTEXT));
        escrow.proceed(id, CIPHERTEXT, signature);
        _snap("proceed by signature", in_);
        signature = _sign(SELLER_KEY, escrow.receiptDigest(id, CIPHERTEXT));
        escrow.acknowledge(id, CIPHERTEXT, signature);
        _snap("acknowledge by signature", in_);
        vm.warp(terms.claimBy + 1);
        escrow.expire(id);
        _snap("slash", in_);
        vm.warp(T0);
    }

    function _eagerly(address money, string memory in_) private {
        bytes32 id = _delivered(_terms(money));
        IShards.ShardProof[] memory counts = _counts(id, 0);
        escrow.proveShard(id, counts[0]);
        _snap("prove the first of 3 shards", in_);
        escrow.proveShard(id, counts[1]);
        _snap("prove the next shard", in_);
        escrow.proveShard(id, counts[2]);
        _snap("prove the last shard and settle", in_);
    }

    /// @dev The whole point: what a settled claim costs does not depend on the number of samples or shards.
    /// forge-config: default.isolate = true
    function test_aSettledClaimCostsTheSameForAnyNumberOfSamples() public {
        // First the parties get money in the escrow: an account's first costs more, and would hide what the size costs.
        _settledClaim(3, 10);
        uint256 large = _settledClaim(60_000, 9_000_000);
        uint256 small = _settledClaim(3, 10);
        // The totals' bytes are not zero any more.
        _isTrue(large < small + 500 && large < 200_000, "claim and approval");
        vm.snapshotValue("Gas", "claim, approval and settlement of 9,000,000 samples in 60,000 shards", large);
    }

    function _settledClaim(uint32 shards, uint32 samples) private returns (uint256 gas) {
        IAgreement.Terms memory terms = _optimistic(address(0));
        (terms.shards, terms.samples, terms.threshold) = (shards, samples, samples - 1);
        bytes32 id = _delivered(terms);
        vm.prank(seller);
        escrow.claim(id, keccak256("top"), samples, samples);
        gas = vm.lastCallGas().gasTotalUsed;
        bytes memory signature = _sign(BUYER_KEY, escrow.approvalDigest(id, escrow.agreement(id).claimRoot));
        escrow.approve(id, signature);
        gas += vm.lastCallGas().gasTotalUsed;
    }

    /// forge-config: default.isolate = true
    function test_gasOfTheRegistry() public {
        vm.deal(seller, 1);
        vm.prank(seller);
        registry.register{value: 1}(ARCHITECTURE, verifier, modelPoints, 2, "http://127.0.0.1:1");
        vm.snapshotGasLastCall("Gas", "register a model of 3 points");
        vm.prank(seller);
        registry.retire(modelId);
        vm.snapshotGasLastCall("Gas", "retire");
        vm.warp(registry.model(modelId).retiresAt + 1);
        vm.prank(seller);
        registry.withdrawStake(modelId);
        vm.snapshotGasLastCall("Gas", "withdraw the stake");
    }

    function _snap(string memory what, string memory in_) private {
        vm.snapshotGasLastCall("Gas", string.concat(what, ", ", in_));
    }
}
