// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DatasetRoot} from "./DatasetRoot.sol";
import {IAgreement} from "./IAgreement.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {ModelProofs} from "./ModelProofs.sol";
import {SumTree} from "./SumTree.sol";

/// @title What makes a shard proof true: the agreed shard, a proof of the registered model, a leaf of the claim.
/// @dev Shared by every contract that pays by a claim over shards; the errors are those of `IAgreement`.
abstract contract ShardProofs is ModelProofs {
    /// @dev The model was fixed before its agreement showed a dataset, and its stake outlives the agreement's last second.
    function _ownerOf(IModelRegistry registry, bytes32 modelId, uint256 last) internal view returns (address) {
        IModelRegistry.Model memory m = registry.model(modelId);
        if (m.seller == address(0)) revert IAgreement.UnknownModel(modelId);
        if (m.registeredBlock >= block.number) revert IAgreement.ModelNotEarlier(m.registeredBlock, block.number);
        if (m.retiresAt != 0) revert IAgreement.ModelRetiring(modelId, m.retiresAt);
        uint256 latest = block.timestamp + registry.NOTICE_PERIOD();
        if (last > latest) revert IAgreement.AgreementTooLong(last, latest);
        return m.seller;
    }

    /// @dev The statement is rebuilt from storage; calldata carries commitments checked against stored hashes, and the
    /// proof. `root` is over `shards` shards, `context` what the proof is bound to.
    function _checkShard(
        IModelRegistry.Model memory m,
        bytes32 root,
        uint256 shards,
        uint256 context,
        IAgreement.ShardProof calldata p
    ) internal view {
        IAgreement.Shard calldata s = p.shard;
        if (s.top1 > s.valid) revert IAgreement.CountAboveValid(s.top1, s.valid);
        if (s.topk > s.valid) revert IAgreement.CountAboveValid(s.topk, s.valid);
        _checkMembership(root, shards, p);
        bytes memory scalars = abi.encode(s.valid, s.top1, s.topk, context);
        if (!_isProven(m, p.modelPoints, p.shardPoints, scalars, p.proof)) revert IAgreement.ProofRejected(s.index);
    }

    /// @dev The leaf of this shard with this proof is in the claim, and the sums on its way are the claimed totals.
    function _checkLeaf(
        bytes32 claimRoot,
        uint256 shards,
        IAgreement.ShardProof calldata p,
        SumTree.Node[] calldata path
    ) internal pure {
        uint256 depth = DatasetRoot.depth(shards);
        if (path.length != depth) revert IAgreement.PathLength(depth, path.length);
        IAgreement.Shard calldata s = p.shard;
        SumTree.Node memory leaf = SumTree.leaf(s.index, s.valid, s.top1, s.topk, keccak256(p.proof));
        bytes32 root = SumTree.climb(leaf, s.index, shards, path);
        if (root != claimRoot) revert IAgreement.ShardNotInClaim(claimRoot, root);
    }

    /// @dev The shard is the one committed at this index, with this many valid samples.
    function _checkMembership(bytes32 expected, uint256 shards, IAgreement.ShardProof calldata p) private pure {
        uint256 depth = DatasetRoot.depth(shards);
        if (p.merkleProof.length != depth) revert IAgreement.PathLength(depth, p.merkleProof.length);
        bytes32 leaf = DatasetRoot.leaf(p.shard.index, p.shard.valid, keccak256(p.shardPoints));
        bytes32 root = DatasetRoot.climb(leaf, p.shard.index, p.merkleProof);
        if (root != expected) revert IAgreement.ShardNotInDataset(expected, root);
    }
}
