// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title From a seed to distinct shards, as `protocol::sampling` does it.
/// @dev A partial Fisher-Yates shuffle over keccak256(seed, counter); words above the largest multiple of the range are
/// thrown away, so every ordered selection is equally likely. No contract needs the shards: this says what they are.
library Sampling {
    /// @dev The first `wanted` of a shuffled deck of `available`; `wanted <= available`.
    function draw(bytes32 seed, uint256 available, uint256 wanted) internal pure returns (uint32[] memory drawn) {
        uint32[] memory deck = new uint32[](available);
        for (uint256 i = 0; i < available; ++i) {
            deck[i] = uint32(i);
        }
        drawn = new uint32[](wanted);
        uint256 counter = 0;
        for (uint256 i = 0; i < wanted; ++i) {
            uint256 other;
            (other, counter) = _below(seed, counter, available - i);
            other += i;
            drawn[i] = deck[other];
            deck[other] = deck[i];
        }
    }

    /// @dev Uniform below `range`, by the first eight bytes of each hash.
    function _below(bytes32 seed, uint256 counter, uint256 range) private pure returns (uint256, uint256) {
        uint256 unbiased = type(uint64).max - type(uint64).max % range;
        while (true) {
            uint256 word = uint256(keccak256(abi.encode(seed, counter))) >> 192;
            ++counter;
            if (word < unbiased) return (word % range, counter);
        }
        return (0, counter);
    }
}
