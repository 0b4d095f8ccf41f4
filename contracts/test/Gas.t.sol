// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEscrow} from "../src/IEscrow.sol";
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

    function _road(address money, string memory in_) private {
        IEscrow.Terms memory terms = _terms(money);
        (uint256 price, uint256 bond) = money == address(0) ? (terms.price, terms.bond) : (uint128(0), uint128(0));
        // Not the first of their kind: counters and totals are already there.
        _open(terms);

        vm.prank(buyer);
        bytes32 id = escrow.open{value: price}(terms);
        _snap("open", in_);
        vm.prank(seller);
        escrow.accept{value: bond}(id);
        _snap("accept", in_);
        vm.prank(seller);
        escrow.acknowledge(id, CIPHERTEXT);
        _snap("acknowledge", in_);
        _prove(id, 0, 4, 4);
        _snap("prove the first of 3 shards", in_);
        _prove(id, 1, 4, 4);
        _snap("prove the next shard", in_);
        _prove(id, 2, 2, 2);
        _snap("prove the last shard and settle", in_);
        vm.prank(seller);
        escrow.withdraw(money);
        _snap("withdraw", in_);

        id = _open(terms);
        vm.prank(buyer);
        escrow.cancel(id);
        _snap("cancel", in_);
        id = _accepted(terms);
        vm.prank(seller);
        escrow.decline(id);
        _snap("decline", in_);
        id = _accepted(terms);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SELLER_KEY, escrow.receiptDigest(id, CIPHERTEXT));
        escrow.acknowledgeBySignature(id, CIPHERTEXT, abi.encodePacked(r, s, v));
        _snap("acknowledge by signature", in_);
        vm.warp(terms.proveBy + 1);
        escrow.slash(id);
        _snap("slash", in_);
    }

    /// forge-config: default.isolate = true
    function test_gasOfTheRegistry() public {
        vm.deal(seller, 1);
        vm.prank(seller);
        registry.register{value: 1}(ARCHITECTURE, verifier, modelPoints, "http://127.0.0.1:1");
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
