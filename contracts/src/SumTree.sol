// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The seller's claim: a Merkle tree over per-shard counts in which every node carries the sums below it.
/// @dev A node is (hash, sums); its hash is keccak256(left.hash, left.sums, right.hash, right.sums) and its sums are the
/// sums of both. Whoever opens a leaf under a root therefore shows that all counts on its way add up to the totals. The
/// buyer asks for the opening of every leaf: if all open, the totals are the sum of all leaves; a tree that hides counts
/// in a malformed node, or behind the last shard, has a leaf that does not open, and that is the one to contest.
library SumTree {
    /// @dev Sums: valid | top1 << 64 | topk << 128.
    struct Node {
        bytes32 hash;
        uint256 sums;
    }

    /// @dev What the three lanes may hold in a sibling: 32 bits each, so that no sum of 2^32 of them carries over.
    uint256 private constant LANES = 0xffffffff | (0xffffffff << 64) | (0xffffffff << 128);

    function pack(uint256 valid, uint256 top1, uint256 topk) internal pure returns (uint256) {
        return valid | (top1 << 64) | (topk << 128);
    }

    /// @dev Hashed twice, so that a node (one hash of 128 bytes) is never taken for a leaf.
    function leaf(uint256 index, uint256 valid, uint256 top1, uint256 topk, bytes32 proofHash)
        internal
        pure
        returns (Node memory)
    {
        bytes32 inner = keccak256(abi.encode(index, valid, top1, topk, proofHash));
        return Node(keccak256(abi.encode(inner)), pack(valid, top1, topk));
    }

    /// @dev What the escrow stores: top node and totals in one word.
    function root(Node memory top) internal pure returns (bytes32) {
        return keccak256(abi.encode(top.hash, top.sums));
    }

    /// @dev The root reached from `node` at `index` of `leaves`; zero, which is no root, when a sibling holds more than
    /// its lanes. What lies beyond the last leaf is zero at every height: nothing can be counted there.
    function climb(Node memory node, uint256 index, uint256 leaves, Node[] calldata siblings)
        internal
        pure
        returns (bytes32)
    {
        for (uint256 h = 0; h < siblings.length; ++h) {
            Node calldata sibling = siblings[h];
            // The other child of the same parent: exclusive or is meant.
            // slither-disable-next-line incorrect-exp
            uint256 place = (index >> h) ^ 1;
            bool padding = place << h >= leaves;
            if (padding ? sibling.hash != 0 || sibling.sums != 0 : sibling.sums & ~LANES != 0) return 0;
            bytes memory pair = place & 1 == 1
                ? abi.encode(node.hash, node.sums, sibling.hash, sibling.sums)
                : abi.encode(sibling.hash, sibling.sums, node.hash, node.sums);
            node = Node(keccak256(pair), node.sums + sibling.sums);
        }
        return root(node);
    }
}
