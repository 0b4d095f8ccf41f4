// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title What each call of a round costs as a transaction of its own, in snapshots/Gas.json.
contract RoundGasTest is RoundScene {
    /// forge-config: default.isolate = true
    function test_gasInEther() public {
        _road(address(0), "ether");
    }

    /// forge-config: default.isolate = true
    function test_gasInTokens() public {
        _road(address(token), "token");
    }

    function _road(address money, string memory in_) private {
        IPredictions.Terms memory terms = _terms(money);
        // Not the first of their kind: totals are already there.
        _open(terms);
        bytes32 id = _open(terms);
        _snap("open a round", in_);
        vm.prank(seller);
        rounds.accept{value: money == address(0) ? terms.bond : 0}(id);
        _snap("accept a round", in_);
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        vm.prank(seller);
        rounds.close(id, 7, voucher);
        _snap("close a round", in_);
        _contest(id, 3, 0);
        _snap("contest a prediction", in_);
        _answer(id, 3, 0);
        _snap("answer a contested prediction", in_);
        vm.warp(T0 + 501);
        rounds.expire(id);
        _snap("settle a round after the window", in_);
        vm.warp(T0);
        id = _serving(terms);
        bytes memory approval = _sign(BUYER_KEY, rounds.approvalDigest(id, 7));
        vm.prank(seller);
        rounds.approve(id, 7, approval);
        _snap("approve and settle a round", in_);
        id = _closed(terms, 7);
        _contest(id, 3, 0);
        vm.warp(T0 + 301);
        rounds.expire(id);
        _snap("slash a round", in_);
        vm.warp(T0);
    }

    function _snap(string memory what, string memory in_) private {
        vm.snapshotGasLastCall("Gas", string.concat(what, ", ", in_));
    }
}
