// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {ILedger} from "../src/ILedger.sol";
import {IPredictions} from "../src/IPredictions.sol";
import {ModelProofs} from "../src/ModelProofs.sol";
import {SigningAccount} from "./mocks/Accounts.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title Rounds of predictions: every way through, who gets what, and what a liar gets.
contract RoundsTest is RoundScene {
    address private constant ETHER = address(0);

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

    // ---- contests

    function test_provenOnChain() public {
        bytes32 id = _closed(_terms(ETHER), 7);
        _contest(id, 3, 0);
        _contest(id, 9, 0);
        _is(id, IPredictions.State.Contested);
        _answer(id, 9, 0);
        _is(id, IPredictions.State.Contested);
        vm.prank(stranger);
        rounds.answer(id, _proven(id, 3, 0));
        _is(id, IPredictions.State.Closed);
        _owes(ETHER, 0, 80, 6080);
        vm.warp(T0 + 501);
        rounds.expire(id);
        _owes(ETHER, 300, 5780, 6080);
    }

    function test_notProvenInTimeLosesEverything() public {
        bytes32 id = _closed(_terms(address(token)), 7);
        _contest(id, 3, 0);
        _contest(id, 4, 0);
        _answer(id, 4, 0);
        vm.warp(T0 + 301);
        IPredictions.PredictionProof memory late = _proven(id, 3, 0);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, T0 + 300, T0 + 301));
        rounds.answer(id, late);
        rounds.expire(id);
        _is(id, IPredictions.State.Slashed);
        // All the price, the bond, the fee of the contest nobody answered.
        _owes(address(token), 1000 + 5000 + 40, 40, 6080);
    }

    /// @dev Two predictions signed for one batch: the buyer may ask for either, or both, and each needs its own proof.
    function test_twoPredictionsForOneBatch() public {
        bytes32 id = _closed(_terms(ETHER), 7);
        _contest(id, 3, 0);
        // The proof of the other one does not answer this one.
        IPredictions.PredictionProof memory other = _proven(id, 3, 1);
        bytes32 digest = rounds.predictionDigest(id, _prediction(3, 1));
        vm.expectRevert(abi.encodeWithSelector(IPredictions.NotContested.selector, digest));
        rounds.answer(id, other);
        _answer(id, 3, 0);
        _contest(id, 3, 1);
        vm.warp(T0 + 301);
        rounds.expire(id);
        _is(id, IPredictions.State.Slashed);
    }

    function test_eachPredictionIsContestedOnce() public {
        bytes32 id = _closed(_terms(ETHER), 7);
        IPredictions.Prediction memory p = _prediction(3, 0);
        bytes32 digest = rounds.predictionDigest(id, p);
        bytes memory signature = _sign(SELLER_KEY, digest);
        _contest(id, 3, 0);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.AlreadyContested.selector, digest));
        vm.prank(buyer);
        rounds.contest{value: 40}(id, p, signature);
        _contest(id, 4, 0);
        _answer(id, 3, 0);
        IPredictions.PredictionProof memory again = _proven(id, 3, 0);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.AlreadyProven.selector, digest));
        rounds.answer(id, again);
        vm.expectRevert(abi.encodeWithSelector(IPredictions.AlreadyContested.selector, digest));
        vm.prank(buyer);
        rounds.contest{value: 40}(id, p, signature);
    }

    function test_whoContestsWhatAndWhen() public {
        bytes32 id = _serving(_terms(ETHER));
        IPredictions.Prediction memory p = _prediction(3, 0);
        bytes memory signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
        _refusedContest(id, buyer, p, signature, _wrongState(IPredictions.State.Serving));
        vm.prank(seller);
        rounds.close(id, 0, "");
        _refusedContest(
            id, stranger, p, signature, abi.encodeWithSelector(IPredictions.OnlyBuyer.selector, buyer, stranger)
        );
        bytes memory unsigned = abi.encodeWithSelector(IDeal.NotSigned.selector, id, seller);
        _refusedContest(id, buyer, p, _sign(BUYER_KEY, rounds.predictionDigest(id, p)), unsigned);
        // Of another round, of another number of inputs, of another batch.
        bytes32 other = _closed(_terms(ETHER), 0);
        _refusedContest(other, buyer, p, signature, abi.encodeWithSelector(IDeal.NotSigned.selector, other, seller));
        p.valid = 2;
        _refusedContest(id, buyer, p, signature, unsigned);
        p = _prediction(4, 0);
        _refusedContest(id, buyer, p, signature, unsigned);
        p = _prediction(10, 0);
        signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
        _refusedContest(id, buyer, p, signature, abi.encodeWithSelector(IPredictions.IndexOutOfRange.selector, 10, 10));
        _contest(id, 3, 0);
        p = _prediction(4, 0);
        signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
        // Each contest prolongs the time to prove, but not the window.
        vm.warp(T0 + 290);
        _contest(id, 5, 0);
        _eq(rounds.round(id).deadline, T0 + 590, "deadline");
        vm.warp(T0 + 501);
        _refusedContest(id, buyer, p, signature, abi.encodeWithSelector(IDeal.TooLate.selector, T0 + 500, T0 + 501));
    }

    function _refusedContest(
        bytes32 id,
        address who,
        IPredictions.Prediction memory p,
        bytes memory signature,
        bytes memory error_
    ) private {
        vm.expectRevert(error_);
        vm.prank(who);
        rounds.contest{value: 40}(id, p, signature);
    }

    // ---- what a proof must be about

    function test_proofsOfSomethingElse() public {
        bytes32 id = _closed(_terms(ETHER), 7);
        bytes32 twin = _closed(_terms(ETHER), 7);
        _contest(id, 3, 0);
        _contest(twin, 3, 0);
        bytes memory rejected = abi.encodeWithSelector(IPredictions.ProofRejected.selector, 3);
        // Of the same batch in another round.
        _refusedAnswer(id, _proven(twin, 3, 0), rejected);
        // Not all of the inputs get their output.
        IPredictions.PredictionProof memory p = _proven(id, 3, 0);
        bytes memory points = bytes.concat(modelPoints, p.shardPoints);
        p.proof = abi.encode(keccak256(bytes.concat(points, abi.encode(3, 2, 3, _context(id, 3)))));
        _refusedAnswer(id, p, rejected);
        // For another payee.
        p.proof = abi.encode(keccak256(bytes.concat(points, abi.encode(3, 3, 3, 1))));
        _refusedAnswer(id, p, rejected);
        // Of another model.
        p = _proven(id, 3, 0);
        p.modelPoints = abi.encode(11, 12, 13, 14, 15, 17);
        _refusedAnswer(
            id,
            p,
            abi.encodeWithSelector(
                ModelProofs.ModelPointsMismatch.selector, keccak256(modelPoints), keccak256(p.modelPoints)
            )
        );
        // Of fewer inputs than were signed, of other inputs, of another batch: none of them is contested.
        p = _proven(id, 3, 0);
        p.valid = 2;
        IPredictions.Prediction memory two = IPredictions.Prediction(3, 2, keccak256(p.shardPoints));
        bytes32 digest = rounds.predictionDigest(id, two);
        _refusedAnswer(id, p, abi.encodeWithSelector(IPredictions.NotContested.selector, digest));
        digest = rounds.predictionDigest(id, _prediction(4, 0));
        _refusedAnswer(id, _proven(id, 4, 0), abi.encodeWithSelector(IPredictions.NotContested.selector, digest));
        _answer(id, 3, 0);
    }

    /// @dev A commitment of another length, even where the seller signed it, is no commitment of this architecture.
    function test_commitmentOfAnotherLength() public {
        bytes32 id = _closed(_terms(ETHER), 7);
        bytes memory points = abi.encode(1, 2);
        IPredictions.Prediction memory p = IPredictions.Prediction(3, 3, keccak256(points));
        bytes memory signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
        vm.prank(buyer);
        rounds.contest{value: 40}(id, p, signature);
        _refusedAnswer(
            id,
            IPredictions.PredictionProof(3, 3, modelPoints, points, ""),
            abi.encodeWithSelector(ModelProofs.ShardPointsLength.selector, 128, 64)
        );
    }

    function _refusedAnswer(bytes32 id, IPredictions.PredictionProof memory p, bytes memory error_) private {
        vm.expectRevert(error_);
        rounds.answer(id, p);
    }

    // ---- vouchers

    function test_whatClosesARound() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes32 twin = _serving(_terms(ETHER));
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        bytes memory unsigned = abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer);
        vm.startPrank(seller);
        vm.expectRevert(unsigned);
        rounds.close(id, 8, voucher);
        vm.expectRevert(unsigned);
        rounds.close(id, 7, "");
        // The voucher of another round, an approval for a voucher.
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, twin, buyer));
        rounds.close(twin, 7, voucher);
        bytes memory approval = _sign(BUYER_KEY, rounds.approvalDigest(id, 7));
        vm.expectRevert(unsigned);
        rounds.close(id, 7, approval);
        bytes memory much = _sign(BUYER_KEY, rounds.voucherDigest(id, 11));
        vm.expectRevert(abi.encodeWithSelector(IPredictions.CountAboveBatches.selector, 11, 10));
        rounds.close(id, 11, much);
        vm.warp(3001);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, 3000, 3001));
        rounds.close(id, 7, voucher);
        vm.warp(3000);
        rounds.close(id, 7, voucher);
        // Only once.
        vm.expectRevert(_wrongState(IPredictions.State.Closed));
        rounds.close(id, 7, voucher);
        vm.stopPrank();
    }

    function test_vouchersOfOtherChains() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        vm.chainId(block.chainid + 1);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
        vm.prank(seller);
        rounds.close(id, 7, voucher);
    }

    /// @dev An account gets code after it signed (EIP-7702), which disowns everything: what its key signed still counts.
    function test_delegationsTakeNothingBack() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        vm.etch(buyer, abi.encodePacked(hex"ef0100", address(new SigningAccount())));
        vm.prank(seller);
        rounds.close(id, 7, voucher);
        vm.etch(seller, abi.encodePacked(hex"ef0100", address(new SigningAccount())));
        _contest(id, 3, 0);
        _is(id, IPredictions.State.Contested);
        vm.etch(buyer, "");
        // Signed by somebody else it is nothing, delegation or not.
        IPredictions.Prediction memory p = _prediction(4, 0);
        bytes memory forged = _sign(BUYER_KEY, rounds.predictionDigest(id, p));
        _refusedContest(id, buyer, p, forged, abi.encodeWithSelector(IDeal.NotSigned.selector, id, seller));
        vm.warp(T0 + 301);
        rounds.expire(id);
        _is(id, IPredictions.State.Slashed);
    }

    /// @dev A contract buys, but has no key: it can approve by itself, its vouchers (ERC-1271) are worth nothing.
    function test_contractBuyer() public {
        SigningAccount account = new SigningAccount();
        vm.deal(address(account), 1000);
        bytes memory call = abi.encodeCall(rounds.open, (1, _terms(ETHER)));
        bytes32 id = abi.decode(account.act(address(rounds), 1000, call), (bytes32));
        vm.prank(seller);
        rounds.accept{value: 5000}(id);
        account.sign(rounds.voucherDigest(id, 2));
        vm.startPrank(seller);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, address(account)));
        rounds.close(id, 2, "");
        rounds.close(id, 0, "");
        vm.stopPrank();
        account.act(address(rounds), 0, abi.encodeCall(rounds.approve, (id, 0, "")));
        _is(id, IPredictions.State.Settled);
        _eq(rounds.credit(address(account), ETHER), 1000, "credit");
    }

    // ---- the rest of the rules

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

    function _wrongState(IPredictions.State found) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPredictions.WrongState.selector, found);
    }
}
