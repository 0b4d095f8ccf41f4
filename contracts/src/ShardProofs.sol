// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DatasetRoot} from "./DatasetRoot.sol";
import {IAgreement} from "./IAgreement.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {ModelProofs} from "./ModelProofs.sol";

/// @title What makes a shard proof true: the agreed shard, and a proof of the registered model.
abstract contract ShardProofs is IAgreement, ModelProofs {
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
        bytes memory scalars = abi.encode(s.valid, s.top1, s.topk, _contextOf(id, s.index, a.seller));
        IModelRegistry.Model memory m = registry.model(a.terms.modelId);
        if (!_isProven(m, p.modelPoints, p.shardPoints, scalars, p.proof)) revert ProofRejected(s.index);
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
