// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IModelRegistry} from "./IModelRegistry.sol";

/// @title What an agreement, a round and a retrieval have in common: a registered model, a money, deadlines, signatures.
interface IDeal {
    // Terms that open refuses.
    error UnknownModel(bytes32 modelId);
    /// @notice The model must be fixed in a block before the one that shows what it is asked about.
    error ModelNotEarlier(uint48 registeredBlock, uint256 currentBlock);
    error ModelRetiring(bytes32 modelId, uint48 retiresAt);
    error TokenWithoutCode(address token);

    // Who and when.
    error TooLate(uint48 deadline, uint256 now_);
    error TooEarly(uint48 deadline, uint256 now_);
    /// @notice The caller is not the party who must have signed, and brings no signature of it.
    error NotSigned(bytes32 id, address signer);

    /// @notice Where the models are.
    function registry() external view returns (IModelRegistry);

    /// @notice keccak256(abi.encode(chainid, this contract, id, index, payee)) modulo the BN254 scalar order.
    function contextOf(bytes32 id, uint32 index, address payee) external view returns (uint256);
}
