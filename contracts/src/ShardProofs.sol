// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DatasetRoot} from "./DatasetRoot.sol";
import {IAgreement} from "./IAgreement.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title What makes a shard proof true: the agreed shard, the registered model, the verifier's word.
abstract contract ShardProofs is IAgreement {
    /// @dev Order of the BN254 scalar field, in which proofs carry their context.
    uint256 private constant SCALAR_ORDER =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @dev Length of an uncompressed G1 point.
    uint256 private constant POINT = 64;

    /// @dev Most gas a verifier gets: a precompile called with a point off the curve burns all it has. Proofs take at
    /// most 1,000,000 by the project's own limit; a caller who brings less gas than that has its whole call reverted.
    uint256 private constant VERIFIER_GAS = 3_000_000;

    function _contextOf(bytes32 id, uint32 index, address payee) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(this), id, index, payee))) % SCALAR_ORDER;
    }

    /// @dev The statement is rebuilt from storage; calldata carries commitments checked against stored hashes, and the
    /// proof.
    function _checkShard(IModelRegistry registry, bytes32 id, Agreement storage a, ShardProof calldata p)
        internal
        view
    {
        Shard calldata s = p.shard;
        if (s.top1 > s.valid) revert CountAboveValid(s.top1, s.valid);
        if (s.topk > s.valid) revert CountAboveValid(s.topk, s.valid);
        _checkMembership(a.terms, p);

        IModelRegistry.Model memory m = registry.model(a.terms.modelId);
        bytes32 found = keccak256(p.modelPoints);
        if (found != m.modelPointsHash) revert ModelPointsMismatch(m.modelPointsHash, found);
        // Lengths fixed, so that no byte of one part is ever read as another.
        uint256 length = POINT * m.shardPoints;
        if (p.shardPoints.length != length) revert ShardPointsLength(length, p.shardPoints.length);
        if (m.verifier.codehash != m.verifierCodehash) {
            revert VerifierChanged(m.verifierCodehash, m.verifier.codehash);
        }
        bytes memory scalars = abi.encode(s.valid, s.top1, s.topk, _contextOf(id, s.index, a.seller));
        bytes memory input = bytes.concat(p.modelPoints, p.shardPoints, scalars, p.proof);
        if (!_saysYes(m.verifier, input)) revert ProofRejected(s.index);
    }

    /// @dev At most one word of the answer is copied, whatever the verifier returns.
    function _saysYes(address verifier, bytes memory input) private view returns (bool yes) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let ok := staticcall(VERIFIER_GAS, verifier, add(input, 32), mload(input), 0, 32)
            yes := and(and(ok, eq(returndatasize(), 32)), eq(mload(0), 1))
        }
    }

    /// @dev The shard is the one the buyer committed at this index, with this many valid samples.
    function _checkMembership(Terms storage terms, ShardProof calldata p) private view {
        uint256 depth = DatasetRoot.depth(terms.shards);
        if (p.merkleProof.length != depth) revert PathLength(depth, p.merkleProof.length);
        bytes32 leaf = DatasetRoot.leaf(p.shard.index, p.shard.valid, keccak256(p.shardPoints));
        bytes32 root = DatasetRoot.climb(leaf, p.shard.index, p.merkleProof);
        if (root != terms.datasetRoot) revert ShardNotInDataset(terms.datasetRoot, root);
    }
}
