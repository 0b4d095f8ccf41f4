// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {Machine} from "./Machine.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title round.json against the predictions contract.
contract RoundMachineTest is Machine, RoundScene {
    /// @dev Conditions of the table.
    uint256 private constant SIGNED = 1;
    uint256 private constant ZERO = 2;
    uint256 private constant WINDOW = 4;
    uint256 private constant LAST = 8;

    constructor() Machine("vectors/round-machine.json") {}

    function test_everythingIsAsTheTableSays() public {
        _judgeAll();
    }

    function _where(bytes32 id) internal view override returns (uint256, uint256) {
        return (uint256(rounds.round(id).state), rounds.round(id).deadline);
    }

    function _terminal() internal pure override returns (uint256, uint256) {
        return (uint256(IPredictions.State.Cancelled), uint256(IPredictions.State.Slashed));
    }

    function _contests(bytes32 id) internal view override returns (uint256) {
        return rounds.round(id).contests;
    }

    function _count(uint256 variant) private pure returns (uint32) {
        return variant & ZERO != 0 ? 0 : 7;
    }

    /// @dev price, earned, bond, contestFee, contestFees.
    function _amounts(uint256 variant, uint256 open) internal pure override returns (int256[] memory amounts) {
        amounts = new int256[](5);
        (amounts[0], amounts[1], amounts[2]) = (1000, int256(100 * uint256(_count(variant))), 5000);
        (amounts[3], amounts[4]) = (40, int256(40 * open));
    }

    /// @dev A closed round's deadline is the end of its window.
    function _exists(uint256 state, uint256 variant) internal pure override returns (bool) {
        return state != uint256(IPredictions.State.Closed) || variant & WINDOW != 0;
    }

    function _reach(uint256 state, uint256 variant) internal override returns (bytes32 id) {
        IPredictions.Terms memory terms = _terms(address(0));
        IPredictions.State s = IPredictions.State(state);
        if (s == IPredictions.State.None) return rounds.roundIdOf(buyer, nonces + 1, terms);
        if (s == IPredictions.State.Open) return _open(terms);
        if (s == IPredictions.State.Serving) return _serving(terms);
        if (s == IPredictions.State.Cancelled) {
            id = _open(terms);
            vm.prank(buyer);
            rounds.cancel(id);
            return id;
        }
        id = _closed(terms, _count(variant));
        if (s == IPredictions.State.Settled) {
            vm.prank(buyer);
            rounds.approve(id, _count(variant), "");
        } else if (s != IPredictions.State.Closed) {
            if (variant & WINDOW == 0) vm.warp(rounds.round(id).windowEnd);
            _contest(id, 0, 0);
            if (variant & LAST == 0) _contest(id, 1, 0);
            if (s == IPredictions.State.Contested) return id;
            vm.warp(rounds.round(id).deadline + 1);
            rounds.expire(id);
        }
    }

    function _call(bytes32 id, uint256 variant, uint256 e)
        internal
        view
        override
        returns (uint256 value, bytes memory data)
    {
        uint32 count = _count(variant);
        bool signed = variant & SIGNED != 0;
        if (e == 0) (value, data) = (1000, abi.encodeCall(rounds.open, (nonces + 1, _terms(address(0)))));
        if (e == 1) data = abi.encodeCall(rounds.cancel, id);
        if (e == 2) (value, data) = (5000, abi.encodeCall(rounds.accept, id));
        if (e == 3) {
            bytes memory voucher = signed ? _sign(BUYER_KEY, rounds.voucherDigest(id, count)) : bytes("");
            data = abi.encodeCall(rounds.close, (id, count, voucher));
        }
        if (e == 4) {
            bytes memory approval = signed ? _sign(BUYER_KEY, rounds.approvalDigest(id, count)) : bytes("");
            data = abi.encodeCall(rounds.approve, (id, count, approval));
        }
        if (e == 5) {
            IPredictions.Prediction memory p = _prediction(2, 0);
            bytes memory signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
            (value, data) = (40, abi.encodeCall(rounds.contest, (id, p, signature)));
        }
        if (e == 6) data = abi.encodeCall(rounds.answer, (id, _proven(id, 0, 0)));
        if (e == 7) data = abi.encodeCall(rounds.expire, id);
    }
}
