// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Claims over shards, contested and proven one by one: what an agreement and a retrieval have in common.
interface IShards {
    /// @notice What one proof says about one shard. `valid` is bound by the dataset root, the counts by the proof.
    struct Shard {
        uint32 index;
        uint32 valid;
        uint32 top1;
        uint32 topk;
    }

    /// @notice A shard with everything that proves it.
    struct ShardProof {
        Shard shard;
        /// Commitments of the model, as registered.
        bytes modelPoints;
        /// Commitments of the shard, under the dataset root.
        bytes shardPoints;
        /// Siblings under the dataset root, from the leaf up.
        bytes32[] merkleProof;
        /// For the verifier.
        bytes proof;
    }

    /// @notice The last second of the deal is beyond the notice period of the registry, which the stake must outlive.
    error AgreementTooLong(uint256 lastSecond, uint256 latest);

    // Proofs and claims.
    error ShardOutOfRange(uint32 index, uint32 shards);
    error ShardAlreadyProven(uint32 index);
    error ShardAlreadyContested(uint32 index);
    error ShardNotContested(uint32 index);
    error CountAboveValid(uint32 count, uint32 valid);
    error ClaimAboveSamples(uint32 count, uint32 samples);
    error PathLength(uint256 expected, uint256 found);
    error ShardNotInDataset(bytes32 expectedRoot, bytes32 foundRoot);
    error ShardNotInClaim(bytes32 expectedRoot, bytes32 foundRoot);
    /// @notice The verifier reverted, ran out of its gas, or did not return exactly one word 1.
    error ProofRejected(uint32 index);

    /// @notice Whether a shard is proven on chain.
    function isProven(bytes32 id, uint32 index) external view returns (bool);

    /// @notice Whether a shard was ever contested.
    function isContested(bytes32 id, uint32 index) external view returns (bool);
}
