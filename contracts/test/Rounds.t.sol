// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {ILedger} from "../src/ILedger.sol";
import {IPredictions} from "../src/IPredictions.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title Rounds of predictions: every way through and who gets what; terms, nonces, parties, ends.
contract RoundsTest is RoundScene {
    function test_settledAfterTheWindow() public {
        address[2] memory moneys = [ETHER, address(token)];
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 id = _closed(_terms(moneys[i]), 7);
            _eq(rounds.round(id).windowEnd, T0 + 500, "window");
            vm.warp(T0 + 501);
            vm.prank(stranger);
            rounds.expire(id);
            _is(id, IPredictions.State.Settled);
            _owes(moneys[i], 300, 700 + 5000, 6000);
            vm.prank(seller);
            rounds.withdraw(moneys[i]);
            _owes(moneys[i], 300, 0, 300);
            vm.warp(T0);
        }
    }

    function test_approvedWhileServing() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes memory approval = _sign(BUYER_KEY, rounds.approvalDigest(id, 4));
        vm.expectEmit(address(rounds));
        emit IPredictions.RoundApproved(id, 4);
        vm.prank(seller);
        rounds.approve(id, 4, approval);
        _is(id, IPredictions.State.Settled);
        _owes(ETHER, 600, 400 + 5000, 6000);
    }

    /// @dev A buyer that closes a round itself would pay nothing for what it got.
    function test_onlyTheSellerEndsTheServiceEarly() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes memory approval = _sign(BUYER_KEY, rounds.approvalDigest(id, 0));
        vm.startPrank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.OnlySeller.selector, seller, buyer));
        rounds.approve(id, 0, approval);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.OnlySeller.selector, seller, buyer));
        rounds.close(id, 0, "");
        vm.stopPrank();
    }

    function test_approvedOnceClosed() public {
        bytes32 id = _closed(_terms(ETHER), 7);
        bytes memory approval = _sign(BUYER_KEY, rounds.approvalDigest(id, 6));
        vm.expectRevert(abi.encodeWithSelector(IPredictions.CountMismatch.selector, 7, 6));
        rounds.approve(id, 6, approval);
        approval = _sign(SELLER_KEY, rounds.approvalDigest(id, 7));
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
        rounds.approve(id, 7, approval);
        // By a stranger with the buyer's signature, or by the buyer itself.
        vm.prank(buyer);
        rounds.approve(id, 7, "");
        _owes(ETHER, 300, 5700, 6000);
        bytes32 other = _closed(_terms(ETHER), 7);
        approval = _sign(BUYER_KEY, rounds.approvalDigest(other, 7));
        vm.prank(stranger);
        rounds.approve(other, 7, approval);
        _owes(ETHER, 600, 11400, 12000);
    }

    /// @dev Nobody closed: the seller is paid nothing, and answers for what it signed all the same.
    function test_notClosedInTime() public {
        bytes32 id = _serving(_terms(ETHER));
        vm.warp(3000);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooEarly.selector, 3000, 3000));
        rounds.expire(id);
        // However late this is called, the window is not prolonged.
        vm.warp(3100);
        rounds.expire(id);
        _is(id, IPredictions.State.Closed);
        _eq(rounds.round(id).windowEnd, 3500, "window");
        _contest(id, 2, 0);
        _answer(id, 2, 0);
        vm.warp(3501);
        rounds.expire(id);
        _owes(ETHER, 1000, 5000 + 40, 6040);
    }

    function test_nobodyAccepts() public {
        bytes32 id = _open(_terms(ETHER));
        vm.warp(2001);
        rounds.expire(id);
        _is(id, IPredictions.State.Cancelled);
        _owes(ETHER, 1000, 0, 1000);
        vm.warp(T0);
        id = _open(_terms(ETHER));
        vm.prank(buyer);
        rounds.cancel(id);
        _owes(ETHER, 2000, 0, 2000);
    }

    // ---- the rules

    function test_terms() public {
        _refusedTerms(0, abi.encodeWithSelector(IPredictions.NoBatches.selector));
        _refusedTerms(1, abi.encodeWithSelector(IPredictions.DeadlinesOutOfOrder.selector, T0, T0, 3000));
        _refusedTerms(2, abi.encodeWithSelector(IPredictions.DeadlinesOutOfOrder.selector, T0, 2000, 2000));
        _refusedTerms(3, abi.encodeWithSelector(IPredictions.NoTimeToContest.selector, 0, 300));
        _refusedTerms(4, abi.encodeWithSelector(IPredictions.NoTimeToContest.selector, 500, 0));
        _refusedTerms(5, abi.encodeWithSelector(IDeal.TokenWithoutCode.selector, stranger));
        _refusedTerms(6, abi.encodeWithSelector(IDeal.UnknownModel.selector, bytes32(uint256(1))));
        uint256 last = T0 + 30 days;
        _refusedTerms(7, abi.encodeWithSelector(IPredictions.RoundTooLong.selector, last + 1, last));
        bytes32 id = _open(_changed(8));
        _is(id, IPredictions.State.Open);
        modelId = _register(1);
        _refusedTerms(9, abi.encodeWithSelector(IDeal.ModelNotEarlier.selector, B0 + 1, B0 + 1));
        vm.roll(B0 + 2);
        vm.prank(seller);
        registry.retire(modelId);
        _refusedTerms(9, abi.encodeWithSelector(IDeal.ModelRetiring.selector, modelId, last));
    }

    function _changed(uint256 what) private view returns (IPredictions.Terms memory terms) {
        terms = _terms(ETHER);
        if (what == 0) terms.batches = 0;
        else if (what == 1) terms.acceptBy = uint48(T0);
        else if (what == 2) terms.serveBy = 2000;
        else if (what == 3) terms.window = 0;
        else if (what == 4) terms.proveTime = 0;
        else if (what == 5) terms.token = stranger;
        else if (what == 6) terms.modelId = bytes32(uint256(1));
        else if (what == 7) terms.serveBy = uint48(T0 + 30 days - 799);
        else if (what == 8) terms.serveBy = uint48(T0 + 30 days - 800);
    }

    function _refusedTerms(uint256 what, bytes memory error_) private {
        IPredictions.Terms memory terms = _changed(what);
        vm.expectRevert(error_);
        vm.prank(buyer);
        rounds.open{value: 1000}(0, terms);
    }

    function test_aNonceIsUsedOnce() public {
        IPredictions.Terms memory terms = _terms(ETHER);
        bytes32 id = rounds.roundIdOf(buyer, 5, terms);
        vm.startPrank(buyer);
        rounds.open{value: 1000}(5, terms);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.RoundExists.selector, id));
        rounds.open{value: 1000}(5, terms);
        rounds.cancel(id);
        // Not even after its end: signatures about it are still around.
        vm.expectRevert(abi.encodeWithSelector(IPredictions.RoundExists.selector, id));
        rounds.open{value: 1000}(5, terms);
        vm.stopPrank();
        vm.prank(stranger);
        _isTrue(rounds.open{value: 1000}(5, terms) != id, "another buyer's round is another one");
    }

    function test_whoAndWhen() public {
        bytes32 id = _open(_terms(ETHER));
        vm.expectRevert(abi.encodeWithSelector(IPredictions.OnlyBuyer.selector, buyer, seller));
        vm.prank(seller);
        rounds.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.OnlySeller.selector, seller, buyer));
        vm.prank(buyer);
        rounds.accept{value: 5000}(id);
        vm.expectRevert(abi.encodeWithSelector(ILedger.WrongValue.selector, 5000, 4999));
        vm.prank(seller);
        rounds.accept{value: 4999}(id);
        vm.warp(2001);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, 2000, 2001));
        vm.prank(seller);
        rounds.accept{value: 5000}(id);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.UnknownRound.selector, bytes32(0)));
        rounds.expire(bytes32(0));
    }

    function test_terminalStatesAbsorb() public {
        bytes32[3] memory ids = [_open(_terms(ETHER)), _closed(_terms(ETHER), 7), _closed(_terms(ETHER), 7)];
        vm.prank(buyer);
        rounds.cancel(ids[0]);
        vm.prank(buyer);
        rounds.approve(ids[1], 7, "");
        _contest(ids[2], 3, 0);
        vm.warp(T0 + 301);
        rounds.expire(ids[2]);
        vm.warp(T0);
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory error_ = _wrongState(rounds.round(ids[i]).state);
            bytes32 before = keccak256(abi.encode(rounds.round(ids[i])));
            _nothingHappens(ids[i], error_);
            vm.warp(10000);
            _nothingHappens(ids[i], error_);
            vm.warp(T0);
            _eq(keccak256(abi.encode(rounds.round(ids[i]))), before, "round");
        }
    }

    function _nothingHappens(bytes32 id, bytes memory error_) private {
        IPredictions.PredictionProof memory p = _proven(id, 3, 0);
        IPredictions.Prediction memory signed = _prediction(5, 0);
        vm.startPrank(buyer);
        vm.expectRevert(error_);
        rounds.cancel(id);
        vm.expectRevert(error_);
        rounds.approve(id, 7, "");
        vm.expectRevert(error_);
        rounds.contest{value: 40}(id, signed, "");
        vm.stopPrank();
        vm.startPrank(seller);
        vm.expectRevert(error_);
        rounds.accept{value: 5000}(id);
        vm.expectRevert(error_);
        rounds.close(id, 0, "");
        vm.expectRevert(error_);
        rounds.answer(id, p);
        vm.expectRevert(error_);
        rounds.expire(id);
        vm.stopPrank();
    }
}
