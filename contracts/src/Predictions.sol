// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Deal} from "./Deal.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {IPredictions} from "./IPredictions.sol";
import {Signatures} from "./Signatures.sol";

/// @title The round's state machine.
/// @dev No owner, no upgrade, no pause. Every function judges in one order: round known, state, caller or signature,
/// deadline, arguments; then it writes the state, then it moves money.
contract Predictions is IPredictions, Deal, EIP712 {
    bytes32 private constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 round,uint32 count)");
    bytes32 private constant APPROVAL_TYPEHASH = keccak256("Approval(bytes32 round,uint32 count)");
    bytes32 private constant PREDICTION_TYPEHASH =
        keccak256("Prediction(bytes32 round,uint32 index,uint32 valid,bytes32 shardPointsHash)");

    /// @inheritdoc IPredictions
    mapping(bytes32 digest => Contest) public contestOf;

    // Written by `open`, through a storage pointer.
    // slither-disable-next-line uninitialized-state
    mapping(bytes32 id => Round) private _rounds;

    constructor(IModelRegistry registry_) Deal(registry_) EIP712("zknode Predictions", "1") {}

    /// @inheritdoc IPredictions
    function open(uint256 nonce, Terms calldata terms) external payable nonReentrant returns (bytes32 id) {
        (address seller, uint256 latest) = _offered(terms.modelId);
        _checkTerms(terms, latest);
        id = roundIdOf(msg.sender, nonce, terms);
        Round storage r = _rounds[id];
        if (r.state != State.None) revert RoundExists(id);
        r.terms = terms;
        r.buyer = msg.sender;
        r.seller = seller;
        _enter(r, State.Open, terms.acceptBy);
        emit RoundOpened(id, msg.sender, terms.modelId, seller, nonce, terms);
        _deposit(terms.token, uint256(terms.price) * terms.batches);
    }

    /// @inheritdoc IPredictions
    function cancel(bytes32 id) external nonReentrant {
        Round storage r = _in(id, State.Open);
        _onlyBuyer(r);
        _inTime(r.deadline);
        _cancel(id, r);
    }

    /// @inheritdoc IPredictions
    function accept(bytes32 id) external payable nonReentrant {
        Round storage r = _in(id, State.Open);
        _onlySeller(r);
        _inTime(r.deadline);
        _enter(r, State.Serving, r.terms.serveBy);
        emit RoundAccepted(id);
        _deposit(r.terms.token, r.terms.bond);
    }

    /// @inheritdoc IPredictions
    function close(bytes32 id, uint32 count, bytes calldata signature) external {
        Round storage r = _in(id, State.Serving);
        _onlySeller(r);
        if (count != 0) _signedByKey(id, r.buyer, voucherDigest(id, count), signature);
        _inTime(r.deadline);
        _inBatches(r, count);
        _close(id, r, count, uint48(block.timestamp) + r.terms.window);
    }

    /// @inheritdoc IPredictions
    function approve(bytes32 id, uint32 count, bytes calldata signature) external nonReentrant {
        Round storage r = _known(id);
        bool serving = r.state == State.Serving;
        if (!serving && r.state != State.Closed) revert WrongState(r.state);
        if (serving) _onlySeller(r);
        _signedByKey(id, r.buyer, approvalDigest(id, count), signature);
        _inTime(r.deadline);
        if (serving) _inBatches(r, count);
        else if (count != r.count) revert CountMismatch(r.count, count);
        r.count = count;
        emit RoundApproved(id, count);
        _settle(id, r);
    }

    /// @inheritdoc IPredictions
    function contest(bytes32 id, Prediction calldata prediction, bytes calldata signature)
        external
        payable
        nonReentrant
    {
        Round storage r = _known(id);
        if (r.state != State.Closed && r.state != State.Contested) revert WrongState(r.state);
        _onlyBuyer(r);
        bytes32 digest = predictionDigest(id, prediction);
        if (!Signatures.isByKey(r.seller, digest, signature)) revert NotSigned(id, r.seller);
        _inTime(r.deadline);
        _inTime(r.windowEnd);
        if (prediction.index >= r.terms.batches) revert IndexOutOfRange(prediction.index, r.terms.batches);
        if (contestOf[digest] != Contest.None) revert AlreadyContested(digest);
        contestOf[digest] = Contest.Open;
        ++r.contests;
        // One deadline for all open contests: a later one prolongs the earlier, and only the buyer makes them.
        uint48 answerBy = uint48(block.timestamp) + r.terms.proveTime;
        _enter(r, State.Contested, answerBy);
        emit PredictionContested(id, digest, prediction, answerBy);
        _deposit(r.terms.token, r.terms.contestFee);
    }

    /// @inheritdoc IPredictions
    function answer(bytes32 id, PredictionProof calldata proof) external nonReentrant {
        Round storage r = _in(id, State.Contested);
        _inTime(r.deadline);
        bytes32 digest = predictionDigest(id, Prediction(proof.index, proof.valid, keccak256(proof.shardPoints)));
        Contest how = contestOf[digest];
        if (how == Contest.None) revert NotContested(digest);
        if (how == Contest.Proven) revert AlreadyProven(digest);
        _checkProof(id, r, proof);

        contestOf[digest] = Contest.Proven;
        --r.contests;
        if (r.contests == 0) _enter(r, State.Closed, r.windowEnd);
        emit PredictionProven(id, digest, proof.index);
        _credit(r.seller, r.terms.token, r.terms.contestFee);
    }

    /// @inheritdoc IPredictions
    function expire(bytes32 id) external nonReentrant {
        Round storage r = _known(id);
        State state = r.state;
        if (state >= State.Cancelled) revert WrongState(state);
        if (block.timestamp <= r.deadline) revert TooEarly(r.deadline, block.timestamp);

        if (state == State.Open) _cancel(id, r);
        // The window counts from the deadline: whoever calls this late does not prolong it.
        else if (state == State.Serving) _close(id, r, 0, r.deadline + r.terms.window);
        else if (state == State.Closed) _settle(id, r);
        else _slash(id, r);
    }

    // ---- views

    /// @inheritdoc IPredictions
    function round(bytes32 id) external view returns (Round memory) {
        return _rounds[id];
    }

    /// @inheritdoc IPredictions
    function roundIdOf(address buyer, uint256 nonce, Terms calldata terms) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), buyer, nonce, terms));
    }

    /// @inheritdoc IPredictions
    function voucherDigest(bytes32 id, uint32 count) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, id, count)));
    }

    /// @inheritdoc IPredictions
    function approvalDigest(bytes32 id, uint32 count) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(APPROVAL_TYPEHASH, id, count)));
    }

    /// @inheritdoc IPredictions
    function predictionDigest(bytes32 id, Prediction memory prediction) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(PREDICTION_TYPEHASH, id, prediction)));
    }

    // ---- what open asks of terms

    /// @dev Terms that make sense by themselves, and end before the stake may go.
    function _checkTerms(Terms calldata t, uint256 latest) private view {
        uint256 last = uint256(t.serveBy) + t.window + t.proveTime;
        if (last > latest) revert RoundTooLong(last, latest);
        _isMoney(t.token);
        if (t.batches == 0) revert NoBatches();
        if (block.timestamp >= t.acceptBy || t.acceptBy >= t.serveBy) {
            revert DeadlinesOutOfOrder(block.timestamp, t.acceptBy, t.serveBy);
        }
        if (t.window == 0 || t.proveTime == 0) revert NoTimeToContest(t.window, t.proveTime);
    }

    /// @dev The model ranks the output first for each of the inputs, and the proof was made to pay this seller here.
    function _checkProof(bytes32 id, Round storage r, PredictionProof calldata p) private view {
        bytes memory scalars = abi.encode(p.valid, p.valid, p.valid, _contextOf(id, p.index, r.seller));
        IModelRegistry.Model memory m = registry.model(r.terms.modelId);
        if (!_isProven(m, p.modelPoints, p.shardPoints, scalars, p.proof)) revert ProofRejected(p.index);
    }

    // ---- the ends, and who gets what

    function _cancel(bytes32 id, Round storage r) private {
        _enter(r, State.Cancelled, 0);
        emit RoundCancelled(id);
        _pay(r, uint256(r.terms.price) * r.terms.batches, 0);
    }

    function _close(bytes32 id, Round storage r, uint32 count, uint48 windowEnd) private {
        r.count = count;
        r.windowEnd = windowEnd;
        _enter(r, State.Closed, windowEnd);
        emit RoundClosed(id, count, windowEnd);
    }

    function _settle(bytes32 id, Round storage r) private {
        _enter(r, State.Settled, 0);
        emit RoundSettled(id, r.count);
        (uint256 price, uint256 count) = (r.terms.price, r.count);
        _pay(r, (r.terms.batches - count) * price, count * price + r.terms.bond);
    }

    function _slash(bytes32 id, Round storage r) private {
        _enter(r, State.Slashed, 0);
        emit RoundSlashed(id);
        // The fees of contests that nobody answered come back too.
        uint256 price = uint256(r.terms.price) * r.terms.batches;
        _pay(r, price + r.terms.bond + uint256(r.terms.contestFee) * r.contests, 0);
    }

    function _pay(Round storage r, uint256 toBuyer, uint256 toSeller) private {
        _credit(r.buyer, r.terms.token, toBuyer);
        _credit(r.seller, r.terms.token, toSeller);
    }

    // ---- who, what, when

    /// @dev The only place where a round's state is written.
    function _enter(Round storage r, State state, uint48 deadline) private {
        r.state = state;
        r.deadline = deadline;
    }

    function _known(bytes32 id) private view returns (Round storage r) {
        r = _rounds[id];
        if (r.state == State.None) revert UnknownRound(id);
    }

    function _in(bytes32 id, State expected) private view returns (Round storage r) {
        r = _known(id);
        if (r.state != expected) revert WrongState(r.state);
    }

    function _onlyBuyer(Round storage r) private view {
        if (msg.sender != r.buyer) revert OnlyBuyer(r.buyer, msg.sender);
    }

    function _onlySeller(Round storage r) private view {
        if (msg.sender != r.seller) revert OnlySeller(r.seller, msg.sender);
    }

    /// @dev By key alone: who takes a voucher keeps it for later.
    function _signedByKey(bytes32 id, address signer, bytes32 digest, bytes calldata signature) private view {
        if (msg.sender == signer) return;
        if (!Signatures.isByKey(signer, digest, signature)) revert NotSigned(id, signer);
    }

    function _inBatches(Round storage r, uint32 count) private view {
        if (count > r.terms.batches) revert CountAboveBatches(count, r.terms.batches);
    }
}
