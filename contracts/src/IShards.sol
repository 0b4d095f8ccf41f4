// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Which shards of a claim were looked at on chain.
interface IShards {
    /// @notice Whether a shard is proven on chain.
    function isProven(bytes32 id, uint32 index) external view returns (bool);

    /// @notice Whether a shard was ever contested.
    function isContested(bytes32 id, uint32 index) external view returns (bool);
}
