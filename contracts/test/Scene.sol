// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {IAgreement} from "../src/IAgreement.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {World} from "./World.sol";

/// @title An escrow, and one dataset of three shards.
/// @dev Statement, context and tree are rebuilt here from their definitions, not through the contracts.
abstract contract Scene is World {
    bytes32 internal constant CIPHERTEXT = keccak256("ciphertext");

    Escrow internal escrow;
    /// Valid samples per shard.
    uint32[] internal dataset = [4, 4, 2];

    function _deploy() internal override returns (address) {
        escrow = new Escrow(registry);
        return address(escrow);
    }

    function _contract() internal view virtual override returns (address) {
        return address(escrow);
    }

    // ---- the road, step by step

    /// @dev Eager and without a preview; `_optimistic` is the other way round.
    function _terms(address money) internal view returns (IAgreement.Terms memory) {
        return IAgreement.Terms({
            modelId: modelId,
            datasetRoot: _root(),
            token: money,
            shards: uint32(dataset.length),
            samples: 10,
            threshold: 8,
            price: 1000,
            buyerBond: 100,
            bond: 500,
            penalty: 200,
            previewFee: 50,
            contestFee: 40,
            acceptBy: 2000,
            previewBy: 2400,
            deliverBy: 3000,
            claimBy: 4000,
            metric: IAgreement.Metric.Top1,
            mode: IAgreement.Mode.Eager,
            previewShards: 0,
            responseTime: 100,
            window: 500,
            proveTime: 300
        });
    }

    function _optimistic(address money) internal view returns (IAgreement.Terms memory terms) {
        terms = _terms(money);
        terms.mode = IAgreement.Mode.Optimistic;
        terms.previewShards = 2;
    }

    function _open(IAgreement.Terms memory terms) internal returns (bytes32) {
        vm.prank(buyer);
        return escrow.open{value: terms.token == address(0) ? uint256(terms.price) + terms.buyerBond : 0}(terms);
    }

    function _accepted(IAgreement.Terms memory terms) internal returns (bytes32 id) {
        id = _open(terms);
        vm.prank(seller);
        escrow.accept{value: terms.token == address(0) ? terms.bond : 0}(id);
    }

    function _drawn(IAgreement.Terms memory terms) internal returns (bytes32 id) {
        id = _accepted(terms);
        vm.roll(block.number + 2);
        escrow.draw(id);
    }

    /// @dev Past the preview, if there is one.
    function _previewed(IAgreement.Terms memory terms) internal returns (bytes32 id) {
        if (terms.previewShards == 0) return _accepted(terms);
        id = _drawn(terms);
        vm.prank(seller);
        escrow.proceed(id, CIPHERTEXT, "");
    }

    function _delivered(IAgreement.Terms memory terms) internal returns (bytes32 id) {
        id = _previewed(terms);
        vm.prank(seller);
        escrow.acknowledge(id, CIPHERTEXT, "");
    }

    /// @dev All right, up to `missing` answers of the first shard.
    function _claimed(IAgreement.Terms memory terms, uint32 missing) internal returns (bytes32 id) {
        id = _delivered(terms);
        _claim(id, _counts(id, missing));
    }

    function _claim(bytes32 id, IShards.ShardProof[] memory counts) internal {
        SumTree.Node memory top = _sumNode(counts, 0, _height());
        vm.prank(seller);
        escrow.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128));
    }

    function _contest(bytes32 id, uint32 index) internal {
        uint256 value = escrow.agreement(id).terms.token == address(0) ? escrow.agreement(id).terms.contestFee : 0;
        vm.prank(buyer);
        escrow.contest{value: value}(id, index);
    }

    /// @dev An honest call of proveShard: shard, siblings and proof as the definitions say.
    function _prove(bytes32 id, uint32 index, uint32 top1, uint32 topk) internal {
        _prove(id, IShards.Shard(index, dataset[index], top1, topk));
    }

    function _prove(bytes32 id, IShards.Shard memory shard) internal {
        escrow.proveShard(id, _shardProof(id, shard));
    }

    /// @dev Proves every shard fully right, up to `missing` answers of the first.
    function _proveAll(bytes32 id, uint32 missing) internal {
        IShards.ShardProof[] memory counts = _counts(id, missing);
        for (uint256 i = 0; i < counts.length; ++i) {
            escrow.proveShard(id, counts[i]);
        }
    }

    function _answer(bytes32 id, IShards.ShardProof[] memory counts, uint32 index) internal {
        escrow.answer(id, counts[index], _sumPath(counts, index));
    }

    // ---- the definitions

    function _shardPoints(uint256 index) internal pure returns (bytes memory) {
        return abi.encode(1000 + index, 2000 + index, 3000 + index, 4000 + index);
    }

    function _statement(bytes32 id, IShards.Shard memory s) internal view returns (bytes memory) {
        bytes memory points = bytes.concat(modelPoints, _shardPoints(s.index));
        return bytes.concat(points, abi.encode(s.valid, s.top1, s.topk, _context(id, s.index)));
    }

    /// @dev What the digest verifier accepts for this statement.
    function _proof(bytes32 id, IShards.Shard memory s) internal view returns (bytes memory) {
        return abi.encode(keccak256(_statement(id, s)));
    }

    function _shardProof(bytes32 id, IShards.Shard memory s) internal view returns (IShards.ShardProof memory) {
        return IShards.ShardProof(s, modelPoints, _shardPoints(s.index), _siblings(s.index), _proof(id, s));
    }

    /// @dev Every shard with its proof, fully right, up to `missing` answers of the first.
    function _counts(bytes32 id, uint32 missing) internal view returns (IShards.ShardProof[] memory counts) {
        counts = new IShards.ShardProof[](dataset.length);
        for (uint32 i = 0; i < counts.length; ++i) {
            uint32 right = i == 0 ? dataset[0] - missing : dataset[i];
            counts[i] = _shardProof(id, IShards.Shard(i, dataset[i], right, right));
        }
    }

    /// @dev Node of the claim's tree at height `height` whose leftmost leaf is `first`.
    function _sumNode(IShards.ShardProof[] memory counts, uint256 first, uint256 height)
        internal
        pure
        returns (SumTree.Node memory)
    {
        // What lies beyond the last leaf is zero at every height.
        if (first >= counts.length) return SumTree.Node(0, 0);
        if (height == 0) {
            IShards.Shard memory s = counts[first].shard;
            bytes32 inner = keccak256(abi.encode(first, s.valid, s.top1, s.topk, keccak256(counts[first].proof)));
            uint256 sums = s.valid + (uint256(s.top1) << 64) + (uint256(s.topk) << 128);
            return SumTree.Node(keccak256(abi.encode(inner)), sums);
        }
        SumTree.Node memory left = _sumNode(counts, first, height - 1);
        SumTree.Node memory right = _sumNode(counts, first + (1 << (height - 1)), height - 1);
        return SumTree.Node(keccak256(abi.encode(left, right)), left.sums + right.sums);
    }

    function _sumPath(IShards.ShardProof[] memory counts, uint256 index)
        internal
        view
        returns (SumTree.Node[] memory path)
    {
        path = new SumTree.Node[](_height());
        for (uint256 h = 0; h < path.length; ++h) {
            path[h] = _sumNode(counts, ((index >> h) ^ 1) << h, h);
        }
    }

    function _leaf(uint256 index) internal view returns (bytes32) {
        bytes32 inner = keccak256(abi.encode(index, uint256(dataset[index]), keccak256(_shardPoints(index))));
        return keccak256(abi.encode(inner));
    }

    /// @dev Hash of the subtree of height `height` whose leftmost leaf is `first`.
    function _node(uint256 first, uint256 height) internal view returns (bytes32) {
        if (height == 0) return first < dataset.length ? _leaf(first) : bytes32(0);
        return keccak256(abi.encode(_node(first, height - 1), _node(first + (1 << (height - 1)), height - 1)));
    }

    function _height() internal view returns (uint256 height) {
        while (1 << height < dataset.length) ++height;
    }

    function _root() internal view returns (bytes32) {
        return _node(0, _height());
    }

    function _siblings(uint256 index) internal view returns (bytes32[] memory siblings) {
        siblings = new bytes32[](_height());
        for (uint256 h = 0; h < siblings.length; ++h) {
            siblings[h] = _node(((index >> h) ^ 1) << h, h);
        }
    }

    // ---- what is looked at

    function _is(bytes32 id, IAgreement.State expected) internal view {
        _eq(uint256(escrow.agreement(id).state), uint256(expected), "state");
    }
}
