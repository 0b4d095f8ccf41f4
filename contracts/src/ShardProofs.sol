// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {DatasetRoot} from "./DatasetRoot.sol";
import {Deal} from "./Deal.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {IShards} from "./IShards.sol";
import {SumTree} from "./SumTree.sol";

/// @title Claims over shards: the totals, the shards that are contested, and what makes a shard's proof true, which is the
/// agreed shard, a proof of the registered model and a leaf of the claim.
/// @dev Shared by every contract that pays by a claim over shards.
abstract contract ShardProofs is IShards, Deal {
    using BitMaps for BitMaps.BitMap;

    mapping(bytes32 id => BitMaps.BitMap) private _provenShards;
    mapping(bytes32 id => BitMaps.BitMap) private _contestedShards;

    /// @inheritdoc IShards
    function isProven(bytes32 id, uint32 index) external view returns (bool) {
        return _provenShards[id].get(index);
    }

    /// @inheritdoc IShards
    function isContested(bytes32 id, uint32 index) external view returns (bool) {
        return _contestedShards[id].get(index);
    }

    /// @dev Who offers the model, for a deal whose last second is `last`.
    function _ownerOf(bytes32 modelId, uint256 last) internal view returns (address) {
        (address owner, uint256 latest) = _offered(modelId);
        if (last > latest) revert AgreementTooLong(last, latest);
        return owner;
    }

    /// @dev The claim over all shards. The total of samples is not the claimant's to say.
    function _claimRoot(bytes32 node, uint32 samples, uint32 top1, uint32 topk) internal pure returns (bytes32) {
        if (top1 > samples) revert ClaimAboveSamples(top1, samples);
        if (topk > samples) revert ClaimAboveSamples(topk, samples);
        return SumTree.root(SumTree.Node(node, SumTree.pack(samples, top1, topk)));
    }

    /// @dev Each shard is contested once.
    function _setContested(bytes32 id, uint32 index, uint32 shards) internal {
        _inRange(index, shards);
        if (_contestedShards[id].get(index)) revert ShardAlreadyContested(index);
        _contestedShards[id].set(index);
    }

    function _setProven(bytes32 id, uint32 index) internal {
        _provenShards[id].set(index);
    }

    /// @dev A proof of this shard is asked for, and there is none yet.
    function _isOwed(bytes32 id, uint32 index, uint32 shards) internal view {
        _inRange(index, shards);
        if (!_contestedShards[id].get(index)) revert ShardNotContested(index);
        _isNotProven(id, index);
    }

    function _isNotProven(bytes32 id, uint32 index) internal view {
        if (_provenShards[id].get(index)) revert ShardAlreadyProven(index);
    }

    function _inRange(uint32 index, uint32 shards) internal pure {
        if (index >= shards) revert ShardOutOfRange(index, shards);
    }

    /// @dev The statement is rebuilt from storage; calldata carries commitments checked against stored hashes, and the
    /// proof. `root` is over `shards` shards, `context` what the proof is bound to.
    function _checkShard(
        IModelRegistry.Model memory m,
        bytes32 root,
        uint256 shards,
        uint256 context,
        ShardProof calldata p
    ) internal view {
        Shard calldata s = p.shard;
        if (s.top1 > s.valid) revert CountAboveValid(s.top1, s.valid);
        if (s.topk > s.valid) revert CountAboveValid(s.topk, s.valid);
        _checkMembership(root, shards, p);
        bytes memory scalars = abi.encode(s.valid, s.top1, s.topk, context);
        if (!_isProven(m, p.modelPoints, p.shardPoints, scalars, p.proof)) revert ProofRejected(s.index);
    }

    /// @dev The leaf of this shard with this proof is in the claim, and the sums on its way are the claimed totals.
    function _checkLeaf(bytes32 claimRoot, uint256 shards, ShardProof calldata p, SumTree.Node[] calldata path)
        internal
        pure
    {
        uint256 depth = DatasetRoot.depth(shards);
        if (path.length != depth) revert PathLength(depth, path.length);
        Shard calldata s = p.shard;
        SumTree.Node memory leaf = SumTree.leaf(s.index, s.valid, s.top1, s.topk, keccak256(p.proof));
        bytes32 root = SumTree.climb(leaf, s.index, shards, path);
        if (root != claimRoot) revert ShardNotInClaim(claimRoot, root);
    }

    /// @dev The shard is the one committed at this index, with this many valid samples.
    function _checkMembership(bytes32 expected, uint256 shards, ShardProof calldata p) private pure {
        uint256 depth = DatasetRoot.depth(shards);
        if (p.merkleProof.length != depth) revert PathLength(depth, p.merkleProof.length);
        bytes32 leaf = DatasetRoot.leaf(p.shard.index, p.shard.valid, keccak256(p.shardPoints));
        bytes32 root = DatasetRoot.climb(leaf, p.shard.index, p.merkleProof);
        if (root != expected) revert ShardNotInDataset(expected, root);
    }
}
