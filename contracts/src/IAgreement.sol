// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "./IDeal.sol";

/// @title What an agreement is: its words, its events, its refusals.
/// @notice One agreement: a buyer pays `price` to learn whether a registered model classifies at least `threshold` of
/// `samples` committed samples correctly; the seller answers with one proof per shard, or loses its bond. The states,
/// who may do what in each and what money moves are one table, `contracts/agreement.json`; Rust and contract are both
/// tested against all of it, and ARCHITECTURE.md draws it.
///
/// Every state that is not terminal has one deadline, the last second in which its own actions may happen. From the
/// next second on anyone may call `expire`, which does that state's default and nothing else does anything.
interface IAgreement is IDeal {
    enum State {
        None,
        /// The price and the buyer's bond are locked; the seller may accept.
        Open,
        /// The bond is locked too; a block is named whose hash draws the preview.
        Accepted,
        /// The preview is drawn; the buyer hands it over.
        Drawn,
        /// The buyer says on chain that it did; the seller answers.
        PreviewSent,
        /// The seller goes on (or no preview was agreed); the buyer hands over the rest.
        Previewed,
        /// The buyer says on chain that it did; the seller answers.
        RestSent,
        /// The seller holds the test set: from here it claims (or proves, in eager mode) or loses its bond.
        Delivered,
        /// The seller said how many answers are correct; the buyer looks.
        Claimed,
        /// The buyer asked for proofs on chain.
        Contested,
        // The rest absorb: nothing changes the agreement any more.

        /// Ended before acceptance.
        Cancelled,
        /// The seller went away before its receipt, or said nothing to a delivery.
        Declined,
        /// The seller says that what the buyer calls delivered is not there or no good: nobody gains by that.
        Denied,
        /// The buyer did not deliver.
        Forfeited,
        /// Paid by the count.
        Settled,
        /// No claim, or a contested shard not proven: the seller lost its bond.
        Slashed
    }

    /// @notice Which count is held against the threshold.
    enum Metric {
        Top1,
        TopK
    }

    /// @notice How the count comes to the chain.
    enum Mode {
        /// By the seller's claim, which the buyer approves, contests or lets pass.
        Optimistic,
        /// By a proof of every shard, verified on chain.
        Eager
    }

    /// @notice What the buyer offers. Amounts in wei or token units, times in Unix seconds.
    struct Terms {
        /// Model in the registry, registered in an earlier block.
        bytes32 modelId;
        /// Keccak Merkle root over the shard commitments.
        bytes32 datasetRoot;
        /// ERC-20 of every amount; address(0) is ether.
        address token;
        /// Leaves of the dataset root, at least 1.
        uint32 shards;
        /// Valid samples in all shards together, at least one a shard.
        uint32 samples;
        /// Fewest correct answers for which the seller is paid.
        uint32 threshold;
        /// Deposited by the buyer for the seller.
        uint128 price;
        /// Deposited by the buyer; lost when it does not deliver.
        uint128 buyerBond;
        /// Deposited by the seller; lost when it has the test set and does not answer for it.
        uint128 bond;
        /// Part of the bond that goes to the buyer when the count is below the threshold.
        uint128 penalty;
        /// Part of the bond that it costs the seller to go away once the preview is drawn.
        uint128 previewFee;
        /// Deposited by the buyer for each shard it contests, earned by its proof.
        uint128 contestFee;
        /// Last second to accept.
        uint48 acceptBy;
        /// Last second to hand over the preview.
        uint48 previewBy;
        /// Last second to hand over the rest.
        uint48 deliverBy;
        /// Last second to claim; in eager mode, of the last proof.
        uint48 claimBy;
        Metric metric;
        Mode mode;
        /// Shards the seller sees before it goes on; 0: none, and no draw.
        uint32 previewShards;
        /// Seconds for the seller to answer a delivery that the buyer announces on chain.
        uint32 responseTime;
        /// Seconds for the buyer to look at a claim.
        uint32 window;
        /// Seconds for the seller to bring a contested proof.
        uint32 proveTime;
    }

    /// @notice An agreement and how far it came.
    struct Agreement {
        Terms terms;
        address buyer;
        State state;
        /// Last second of this state's own actions; 0 in a terminal state.
        uint48 deadline;
        /// Contested shards not proven yet.
        uint32 contests;
        /// Payee of every proof; the seller of the model.
        address seller;
        /// Shards proven on chain so far.
        uint32 proven;
        /// Eager mode: valid samples in the proven shards, never above `terms.samples`.
        uint32 valid;
        /// Correct answers by the agreed metric: claimed, or (eager mode) proven so far.
        uint32 correct;
        /// Block whose hash draws the preview.
        uint48 drawBlock;
        /// Last second to contest.
        uint48 windowEnd;
        /// What draws the preview; 0 until drawn.
        bytes32 seed;
        /// Hash of the ciphertext the seller acknowledged.
        bytes32 ciphertextHash;
        /// Root of the seller's claim, its totals included; 0 until claimed.
        bytes32 claimRoot;
    }

    event Opened(
        bytes32 indexed id, address indexed buyer, bytes32 indexed modelId, address seller, uint256 nonce, Terms terms
    );
    event Accepted(bytes32 indexed id, uint48 drawBlock);
    event Drawn(bytes32 indexed id, bytes32 seed);
    event Sent(bytes32 indexed id, bytes32 ciphertextHash);
    event Proceeded(bytes32 indexed id, bytes32 ciphertextHash);
    event Acknowledged(bytes32 indexed id, bytes32 ciphertextHash);
    event Claimed(bytes32 indexed id, bytes32 claimRoot, uint32 top1, uint32 topk, uint48 windowEnd);
    event Approved(bytes32 indexed id);
    event Contested(bytes32 indexed id, uint32 indexed index, uint48 answerBy);
    event ShardProven(bytes32 indexed id, uint32 indexed index, uint32 valid, uint32 top1, uint32 topk);
    event Cancelled(bytes32 indexed id);
    event Declined(bytes32 indexed id);
    event Denied(bytes32 indexed id);
    event Forfeited(bytes32 indexed id);
    event Settled(bytes32 indexed id, uint256 correct, bool passed);
    event Slashed(bytes32 indexed id);

    // Terms that open refuses, beside those of every deal; what is refused of shards is named in `IShards`.
    error PenaltyAboveBond(uint128 penalty, uint128 bond);
    error PreviewFeeAboveBond(uint128 previewFee, uint128 bond);
    /// @notice 1 <= shards <= samples.
    error ShardsOutOfRange(uint32 shards, uint32 samples);
    error PreviewAboveShards(uint32 previewShards, uint32 shards);
    error ThresholdAboveSamples(uint32 threshold, uint32 samples);
    /// @notice now < acceptBy < previewBy, previewBy + responseTime < deliverBy, deliverBy + responseTime < claimBy.
    error DeadlinesOutOfOrder(uint256 now_, uint48 acceptBy, uint48 previewBy, uint48 deliverBy, uint48 claimBy);
    /// @notice A claim that nobody could contest in time, or whose proof could never be in time.
    error NoTimeToContest(uint32 window, uint32 proveTime);

    // Who, what, when.
    error UnknownAgreement(bytes32 id);
    /// @notice Nothing of the kind happens in this state.
    error WrongState(State found);
    error WrongMode(Mode found);
    error OnlyBuyer(address buyer, address caller);
    error OnlySeller(address seller, address caller);

    // The draw.
    error DrawTooEarly(uint48 drawBlock, uint256 currentBlock);
    /// @notice The chain does not know the hash of that block any more.
    error DrawTooLate(uint48 drawBlock, uint256 currentBlock);

    // Proofs.
    /// @notice Eager mode: the proven shards hold more samples than agreed, or all of them are proven and hold fewer.
    /// The seller looks for this before it acknowledges.
    error SamplesMismatch(uint32 expected, uint256 found);
}
