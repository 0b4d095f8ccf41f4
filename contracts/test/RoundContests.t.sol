// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {IPredictions} from "../src/IPredictions.sol";
import {ModelProofs} from "../src/ModelProofs.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title Contests of a round: who, what and when, and what a proof must be about.
contract RoundContestsTest is RoundScene {
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

    // ---- proofs

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
}
