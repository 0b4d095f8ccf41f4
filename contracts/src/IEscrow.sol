// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @title Holds both sides' money and pays by proof or by deadline, never by trust.
/// @notice One agreement: a buyer pays `price` to learn whether a registered model classifies at least `threshold`
/// of `samples` committed samples correctly; the seller answers with one proof per shard, or loses its bond.
///
/// ```text
/// None --open--> Open --accept--> Accepted --acknowledge--> Delivered --last proveShard--> Settled
///                 |cancel          |decline                  |slash
///                 v                v                         v
///                Cancelled        Declined                  Slashed
/// ```
/// A deadline `xBy` is the last second in which x may happen; its default action starts one second later.
interface IEscrow {
    /// @notice The last four absorb: nothing changes the agreement any more.
    enum State {
        None,
        Open,
        Accepted,
        Delivered,
        Cancelled,
        Declined,
        Settled,
        Slashed
    }

    /// @notice Which proven count is held against the threshold.
    enum Metric {
        Top1,
        TopK
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
        /// Deposited by the buyer.
        uint128 price;
        /// Deposited by the seller; lost when a delivered agreement is not proven in time.
        uint128 bond;
        /// Part of the bond that goes to the buyer when the proven count is below the threshold.
        uint128 penalty;
        uint48 acceptBy;
        uint48 deliverBy;
        uint48 proveBy;
        Metric metric;
    }

    /// @notice An agreement and how far it came.
    struct Agreement {
        Terms terms;
        address buyer;
        State state;
        /// Payee of every proof; the seller of the model.
        address seller;
        /// Shards proven so far.
        uint32 proven;
        /// Valid samples in the proven shards, never above `terms.samples`.
        uint32 valid;
        /// Correct answers in the proven shards by the agreed metric.
        uint32 correct;
        /// Hash of the ciphertext the seller acknowledged.
        bytes32 ciphertextHash;
    }

    /// @notice What one proof says about one shard. `valid` is bound by the dataset root, the counts by the proof.
    struct Shard {
        uint32 index;
        uint32 valid;
        uint32 top1;
        uint32 topk;
    }

    event Opened(
        bytes32 indexed id, address indexed buyer, bytes32 indexed modelId, address seller, uint256 nonce, Terms terms
    );
    event Cancelled(bytes32 indexed id);
    event Accepted(bytes32 indexed id);
    event Declined(bytes32 indexed id);
    event Acknowledged(bytes32 indexed id, bytes32 ciphertextHash);
    event ShardProven(bytes32 indexed id, uint32 indexed index, uint32 valid, uint32 top1, uint32 topk);
    event Settled(bytes32 indexed id, uint256 correct, bool passed);
    event Slashed(bytes32 indexed id);

    // Terms that open refuses.
    error UnknownModel(bytes32 modelId);
    /// @notice The model must be fixed in a block before the one that shows the dataset root.
    error ModelNotEarlier(uint48 registeredBlock, uint256 currentBlock);
    error ModelRetiring(bytes32 modelId, uint48 retiresAt);
    error TokenWithoutCode(address token);
    error PenaltyAboveBond(uint128 penalty, uint128 bond);
    /// @notice 1 <= shards <= samples.
    error ShardsOutOfRange(uint32 shards, uint32 samples);
    error ThresholdAboveSamples(uint32 threshold, uint32 samples);
    /// @notice now < acceptBy < deliverBy < proveBy.
    error DeadlinesOutOfOrder(uint256 now_, uint48 acceptBy, uint48 deliverBy, uint48 proveBy);
    /// @notice An agreement must end within the notice period of the registry, so that the stake outlives it.
    error AgreementTooLong(uint48 proveBy, uint256 latest);

    // Who may do what, when.
    error UnknownAgreement(bytes32 id);
    error WrongState(State expected, State found);
    error OnlySeller(address seller, address caller);
    error TooLate(uint48 deadline, uint256 now_);
    error TooEarly(uint48 deadline, uint256 now_);
    /// @notice Until `acceptBy` only the buyer cancels.
    error OnlyBuyerUntil(uint48 acceptBy, address caller);
    /// @notice Until `deliverBy` only the seller declines.
    error OnlySellerUntil(uint48 deliverBy, address caller);
    error ReceiptNotSigned(bytes32 id, address seller);

    // What makes a shard proof count.
    error ShardOutOfRange(uint32 index, uint32 shards);
    error ShardAlreadyProven(uint32 index);
    error ModelPointsMismatch(bytes32 expected, bytes32 found);
    error MerkleProofLength(uint256 expected, uint256 found);
    error ShardNotInDataset(bytes32 expectedRoot, bytes32 foundRoot);
    error CountAboveValid(uint32 count, uint32 valid);
    error VerifierChanged(bytes32 expected, bytes32 found);
    /// @notice The verifier reverted, ran out of gas, or did not return exactly one word 1.
    error ProofRejected(uint32 index);
    /// @notice The proven shards hold more samples than agreed, or all of them are proven and hold fewer. The seller
    /// looks for this before it acknowledges.
    error SamplesMismatch(uint32 expected, uint256 found);

    /// @notice Opens an agreement and deposits the price.
    /// @return id keccak256(abi.encode(chainid, escrow, buyer, nonce, terms)).
    function open(Terms calldata terms) external payable returns (bytes32 id);

    /// @notice Ends an open agreement: the buyer at any time, anyone after `acceptBy`. Refunds the buyer.
    function cancel(bytes32 id) external;

    /// @notice The seller locks the bond, until `acceptBy`.
    function accept(bytes32 id) external payable;

    /// @notice Ends an accepted agreement before delivery: the seller at any time, anyone after `deliverBy`.
    /// Refunds both.
    function decline(bytes32 id) external;

    /// @notice The seller says, until `deliverBy`, that it holds the opened test set. From here it proves or pays.
    function acknowledge(bytes32 id, bytes32 ciphertextHash) external;

    /// @notice The same by the seller's EIP-712 signature of `Receipt(bytes32 agreement,bytes32 ciphertextHash)`
    /// (ERC-1271 for contract sellers); anyone may bring it.
    function acknowledgeBySignature(bytes32 id, bytes32 ciphertextHash, bytes calldata signature) external;

    /// @notice Counts one proven shard, until `proveBy`; anyone may bring it. The last one settles: the seller gets
    /// price and bond when the count reaches the threshold, else the buyer gets price and penalty.
    /// A refused proof reverts and changes nothing.
    /// @param shard Index, valid samples and proven counts.
    /// @param modelPoints Commitments of the model, as registered.
    /// @param shardPoints Commitments of the shard, under the dataset root.
    /// @param merkleProof Siblings from the leaf up.
    /// @param proof Proof bytes for the verifier.
    function proveShard(
        bytes32 id,
        Shard calldata shard,
        bytes calldata modelPoints,
        bytes calldata shardPoints,
        bytes32[] calldata merkleProof,
        bytes calldata proof
    ) external;

    /// @notice After `proveBy`, anyone: the buyer gets price and bond.
    function slash(bytes32 id) external;

    /// @notice The stored agreement; all zero when unknown.
    function agreement(bytes32 id) external view returns (Agreement memory);

    /// @notice Where the models are.
    function registry() external view returns (IModelRegistry);

    /// @notice Whether a shard is already counted.
    function isProven(bytes32 id, uint32 index) external view returns (bool);

    /// @notice The id `open` gives to these terms.
    function agreementIdOf(address buyer, uint256 nonce, Terms calldata terms) external view returns (bytes32);

    /// @notice keccak256(abi.encode(chainid, escrow, id, index, payee)) modulo the BN254 scalar order.
    function contextOf(bytes32 id, uint32 index, address payee) external view returns (uint256);

    /// @notice EIP-712 digest of the receipt the seller signs.
    function receiptDigest(bytes32 id, bytes32 ciphertextHash) external view returns (bytes32);
}
