// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @title The verifier's word on a registered model: shared by every contract that pays by proof.
abstract contract ModelProofs {
    error ModelPointsMismatch(bytes32 expected, bytes32 found);
    error ShardPointsLength(uint256 expected, uint256 found);
    error VerifierChanged(bytes32 expected, bytes32 found);

    /// @dev Order of the BN254 scalar field, in which proofs carry their context.
    uint256 private constant SCALAR_ORDER =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @dev Length of an uncompressed G1 point.
    uint256 private constant POINT = 64;

    /// @dev Most gas a verifier gets: a precompile called with a point off the curve burns all it has. Proofs take at
    /// most 1,000,000 by the project's own limit; a caller who brings less gas than that has its whole call reverted.
    uint256 private constant VERIFIER_GAS = 3_000_000;

    /// @dev What a proof is bound to: this chain and contract, one agreement, one place in it, one payee.
    function _contextOf(bytes32 id, uint32 index, address payee) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(this), id, index, payee))) % SCALAR_ORDER;
    }

    /// @dev Whether the model's verifier accepts `scalars` of these commitments. The model's points must be the
    /// registered ones; who calls has checked the shard's.
    function _isProven(
        IModelRegistry.Model memory m,
        bytes calldata modelPoints,
        bytes calldata shardPoints,
        bytes memory scalars,
        bytes calldata proof
    ) internal view returns (bool) {
        bytes32 found = keccak256(modelPoints);
        if (found != m.modelPointsHash) revert ModelPointsMismatch(m.modelPointsHash, found);
        // Lengths fixed, so that no byte of one part is ever read as another.
        uint256 length = POINT * m.shardPoints;
        if (shardPoints.length != length) revert ShardPointsLength(length, shardPoints.length);
        if (m.verifier.codehash != m.verifierCodehash) {
            revert VerifierChanged(m.verifierCodehash, m.verifier.codehash);
        }
        return _saysYes(m.verifier, bytes.concat(modelPoints, shardPoints, scalars, proof));
    }

    /// @dev At most one word of the answer is copied, whatever the verifier returns.
    function _saysYes(address verifier, bytes memory input) private view returns (bool yes) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let ok := staticcall(VERIFIER_GAS, verifier, add(input, 32), mload(input), 0, 32)
            yes := and(and(ok, eq(returndatasize(), 32)), eq(mload(0), 1))
        }
    }
}
