// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {Scene} from "./Scene.sol";
import {Stories} from "./Stories.sol";

/// @title Stories with a claim over shards.
abstract contract ShardStories is Stories, Scene {
    /// @dev The shards of the story instead of the scene's.
    function _readDataset() internal {
        uint256[] memory valid = _numbers(".dataset");
        delete dataset;
        for (uint256 s = 0; s < valid.length; ++s) {
            dataset.push(uint32(valid[s]));
        }
    }

    function _claimTold(string memory j) internal view returns (bytes32 node, uint32 top1, uint32 topk) {
        SumTree.Node memory top = _sumNode(_countsTold(j), 0, _height());
        return (top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128));
    }

    /// @dev What is claimed of a shard and its way up the claim, or nothing where there is no such shard.
    function _answerTold(string memory j) internal view returns (IShards.ShardProof memory, SumTree.Node[] memory) {
        IShards.ShardProof[] memory counts = _countsTold(j);
        uint32 index = uint32(_arg(j, "index"));
        if (index < counts.length) return (counts[index], _sumPath(counts, index));
        IShards.ShardProof memory nothing;
        nothing.shard.index = index;
        return (nothing, _sumPath(counts, 0));
    }

    /// @dev Every shard with the counts of a claim, some of them with a proof that the verifier rejects.
    function _countsTold(string memory j) private view returns (IShards.ShardProof[] memory counts) {
        counts = new IShards.ShardProof[](dataset.length);
        for (uint32 k = 0; k < counts.length; ++k) {
            uint256[] memory right = _numbers(_step(j, string.concat("args.counts[", vm.toString(k), "]")));
            counts[k] = _shardProof(_id, IShards.Shard(k, dataset[k], uint32(right[0]), uint32(right[1])));
        }
        uint256[] memory rejected = _numbers(_step(j, "args.rejected"));
        for (uint256 k = 0; k < rejected.length; ++k) {
            counts[rejected[k]].proof[0] ^= 0x01;
        }
    }
}
