// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "./IDeal.sol";

/// @title Rounds of predictions: a payment channel with contests.
/// @notice A buyer deposits the price of `batches` requests. Off chain it sends a batch of inputs at a time, the seller
/// answers with outputs and signs `Prediction(round, index, valid, shardPointsHash)`: a commitment to the batch's inputs and
/// outputs together, which says that the registered model gives each of the `valid` inputs that output. The buyer pays by
/// cumulative vouchers. Of any signed prediction it may ask for the proof on chain; one that is not proven in time costs the
/// seller everything it put in and would have earned.
///
/// ```text
///            cancel, expire                        expire
///     Open ---------------> Cancelled   Contested --------> Slashed
///      | accept                          |  ^  ^
///      v         close, expire    answer v  |  | contest
///    Serving ----------------> Closed <-----+--+
///      | approve (seller brings it)  | approve, expire
///      +-----------> Settled <-------+
/// ```
///
/// Both parties must hold keys: only a key's signature counts, whatever code its account has or gets (no ERC-1271), so that
/// nobody takes back what it signed.
///
/// Every state that is not terminal has one deadline, the last second in which its own actions may happen. From the next
/// second on anyone may call `expire`, which does that state's default and nothing else does anything.
interface IPredictions is IDeal {
    enum State {
        None,
        /// The price of all batches is locked; the seller may accept.
        Open,
        /// The bond is locked too; batches are served off chain.
        Serving,
        /// The count to be paid for is fixed; the buyer looks.
        Closed,
        /// The buyer asked for proofs on chain.
        Contested,
        // The rest absorb: nothing changes the round any more.

        /// Ended before acceptance.
        Cancelled,
        /// Paid by the count.
        Settled,
        /// A contested prediction was not proven: the seller lost its bond and its pay.
        Slashed
    }

    /// @notice What the buyer offers. Amounts in wei or token units, times in Unix seconds.
    struct Terms {
        /// Model in the registry, registered in an earlier block.
        bytes32 modelId;
        /// ERC-20 of every amount; address(0) is ether.
        address token;
        /// Most requests, at least 1.
        uint32 batches;
        /// Of each of them.
        uint128 price;
        /// Deposited by the seller; lost when a contested prediction is not proven.
        uint128 bond;
        /// Deposited by the buyer for each prediction it contests, earned by its proof.
        uint128 contestFee;
        /// Last second to accept.
        uint48 acceptBy;
        /// Last second to serve and to close.
        uint48 serveBy;
        /// Seconds for the buyer to contest, from the closing on: the seller may close at any time, so the buyer must watch
        /// from the acceptance on.
        uint32 window;
        /// Seconds for the seller to bring a contested proof.
        uint32 proveTime;
    }

    /// @notice A round and how far it came.
    struct Round {
        Terms terms;
        address buyer;
        State state;
        /// Last second of this state's own actions; 0 in a terminal state.
        uint48 deadline;
        /// Contested predictions not proven yet.
        uint32 contests;
        /// Payee of every proof; the seller of the model.
        address seller;
        /// Batches to be paid for, once closed.
        uint32 count;
        /// Last second to contest.
        uint48 windowEnd;
    }

    /// @notice What the seller signs for one batch.
    struct Prediction {
        /// Position in the round.
        uint32 index;
        /// Inputs in the batch, each with its output.
        uint32 valid;
        /// keccak256 of the commitment to inputs and outputs, 64 bytes a point.
        bytes32 shardPointsHash;
    }

    /// @notice A prediction with everything that proves it.
    struct PredictionProof {
        /// As in the prediction.
        uint32 index;
        uint32 valid;
        /// Commitments of the model, as registered.
        bytes modelPoints;
        /// Commitment of inputs and outputs, whose hash the prediction holds.
        bytes shardPoints;
        /// For the verifier.
        bytes proof;
    }

    /// @notice How far the contest of a signed prediction came.
    enum Contest {
        None,
        Open,
        Proven
    }

    event RoundOpened(
        bytes32 indexed id, address indexed buyer, bytes32 indexed modelId, address seller, uint256 nonce, Terms terms
    );
    event RoundAccepted(bytes32 indexed id);
    event RoundClosed(bytes32 indexed id, uint32 count, uint48 windowEnd);
    event RoundApproved(bytes32 indexed id, uint32 count);
    event PredictionContested(bytes32 indexed id, bytes32 indexed digest, Prediction prediction, uint48 answerBy);
    event PredictionProven(bytes32 indexed id, bytes32 indexed digest, uint32 index);
    event RoundCancelled(bytes32 indexed id);
    event RoundSettled(bytes32 indexed id, uint32 count);
    event RoundSlashed(bytes32 indexed id);

    // Terms that open refuses, beside those of every deal.
    error NoBatches();
    /// @notice now < acceptBy < serveBy.
    error DeadlinesOutOfOrder(uint256 now_, uint48 acceptBy, uint48 serveBy);
    /// @notice Predictions that nobody could contest in time, or whose proof could never be in time.
    error NoTimeToContest(uint32 window, uint32 proveTime);
    /// @notice serveBy + window + proveTime is beyond the notice period of the registry, which the stake must outlive.
    error RoundTooLong(uint256 lastSecond, uint256 latest);
    /// @notice The buyer used this nonce with these terms before: take another one.
    error RoundExists(bytes32 id);

    // Who, what, when.
    error UnknownRound(bytes32 id);
    /// @notice Nothing of the kind happens in this state.
    error WrongState(State found);
    error OnlyBuyer(address buyer, address caller);
    error OnlySeller(address seller, address caller);
    error CountAboveBatches(uint32 count, uint32 batches);
    /// @notice The approval is about another count than the round was closed with.
    error CountMismatch(uint32 expected, uint32 found);

    // Contests and proofs.
    error IndexOutOfRange(uint32 index, uint32 batches);
    error AlreadyContested(bytes32 digest);
    /// @notice That very prediction was not contested.
    error NotContested(bytes32 digest);
    error AlreadyProven(bytes32 digest);
    /// @notice The verifier reverted, ran out of its gas, or did not return exactly one word 1.
    error ProofRejected(uint32 index);

    /// @notice Opens a round and deposits batches * price.
    /// @param nonce Any number the buyer did not use with these terms before: so it knows the id before it pays.
    /// @return id keccak256(abi.encode(chainid, contract, buyer, nonce, terms)).
    function open(uint256 nonce, Terms calldata terms) external payable returns (bytes32 id);

    /// @notice The buyer takes an offer back that nobody accepted.
    function cancel(bytes32 id) external;

    /// @notice The seller locks the bond.
    function accept(bytes32 id) external payable;

    /// @notice The seller closes with the newest voucher it has: only once, and only in time. After `serveBy` the round
    /// closes with a count of 0.
    /// @param signature The buyer's EIP-712 signature of `Voucher(bytes32 round,uint32 count)`.
    /// Not looked at for a count of 0.
    function close(bytes32 id, uint32 count, bytes calldata signature) external;

    /// @notice The buyer is content with `count` batches and contests none, which settles at once. Anyone may bring it to a
    /// closed round; to one still being served only the seller, so that no buyer closes it below its vouchers.
    /// @param signature The buyer's EIP-712 signature of `Approval(bytes32 round,uint32 count)`. Not looked at when the
    /// buyer itself calls.
    function approve(bytes32 id, uint32 count, bytes calldata signature) external;

    /// @notice The buyer wants the proof of this prediction on chain, and deposits the contest fee for it. Each signed
    /// prediction once; a seller that signed two for one index answers for both.
    /// @param signature The seller's EIP-712 signature of
    /// `Prediction(bytes32 round,uint32 index,uint32 valid,bytes32 shardPointsHash)`.
    function contest(bytes32 id, Prediction calldata prediction, bytes calldata signature) external payable;

    /// @notice Brings the proof of a contested prediction: that the model ranks the output first for each of `valid` inputs
    /// under `shardPoints`. Anyone may; the fee goes to the seller.
    function answer(bytes32 id, PredictionProof calldata proof) external;

    /// @notice After the deadline of its state, anyone: what this state comes to when nobody does anything.
    function expire(bytes32 id) external;

    /// @notice The stored round; all zero when unknown.
    function round(bytes32 id) external view returns (Round memory);

    /// @notice How far the contest of the prediction with this digest came.
    function contestOf(bytes32 digest) external view returns (Contest);

    /// @notice The id `open` gives to these terms.
    function roundIdOf(address buyer, uint256 nonce, Terms calldata terms) external view returns (bytes32);

    /// @notice EIP-712 digest of the voucher the buyer signs.
    function voucherDigest(bytes32 id, uint32 count) external view returns (bytes32);

    /// @notice EIP-712 digest of the approval the buyer signs.
    function approvalDigest(bytes32 id, uint32 count) external view returns (bytes32);

    /// @notice EIP-712 digest of the prediction the seller signs.
    function predictionDigest(bytes32 id, Prediction calldata prediction) external view returns (bytes32);
}
