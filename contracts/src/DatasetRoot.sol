// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The keccak Merkle tree over shard commitments.
/// @dev Leaves stand in index order, padded with zero words to a power of two; a node hashes left then right. Sorted
/// pairs (OpenZeppelin's MerkleProof) would not bind a leaf to its place, and with it not to the depth either.
library DatasetRoot {
    /// @dev Hashed twice, so that a node (one hash of 64 bytes) is never taken for a leaf.
    function leaf(uint256 index, uint256 valid, bytes32 shardPointsHash) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, valid, shardPointsHash))));
    }

    /// @dev Siblings in a proof under a tree of `leaves` > 0 leaves.
    function depth(uint256 leaves) internal pure returns (uint256) {
        return Math.log2(leaves, Math.Rounding.Ceil);
    }

    /// @dev Root reached from `node` at `index`. Bit h of the index says whether height h is a right child.
    function climb(bytes32 node, uint256 index, bytes32[] calldata siblings) internal pure returns (bytes32) {
        for (uint256 h = 0; h < siblings.length; ++h) {
            node = (index >> h) & 1 == 0
                ? Hashes.efficientKeccak256(node, siblings[h])
                : Hashes.efficientKeccak256(siblings[h], node);
        }
        return node;
    }
}
