// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "./IDeal.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {Ledger} from "./Ledger.sol";
import {ModelProofs} from "./ModelProofs.sol";
import {Signatures} from "./Signatures.sol";

/// @title The rules that agreement, round and retrieval share: over which model, until when, signed by whom.
abstract contract Deal is IDeal, Ledger, ModelProofs {
    /// @inheritdoc IDeal
    IModelRegistry public immutable registry;

    constructor(IModelRegistry registry_) {
        registry = registry_;
    }

    /// @inheritdoc IDeal
    function contextOf(bytes32 id, uint32 index, address payee) external view returns (uint256) {
        return _contextOf(id, index, payee);
    }

    /// @dev Who offers the model, which was fixed before its deal showed what it is asked about; and the last second up to
    /// which its stake is sure to be there: no deal may go beyond.
    function _offered(bytes32 modelId) internal view returns (address owner, uint256 latest) {
        IModelRegistry.Model memory m = registry.model(modelId);
        if (m.seller == address(0)) revert UnknownModel(modelId);
        if (m.registeredBlock >= block.number) revert ModelNotEarlier(m.registeredBlock, block.number);
        if (m.retiresAt != 0) revert ModelRetiring(modelId, m.retiresAt);
        return (m.seller, block.timestamp + registry.NOTICE_PERIOD());
    }

    function _isMoney(address token) internal view {
        if (token != ETHER && token.code.length == 0) revert TokenWithoutCode(token);
    }

    function _inTime(uint48 deadline) internal view {
        if (block.timestamp > deadline) revert TooLate(deadline, block.timestamp);
    }

    /// @dev Sent by `signer`, or signed: by its key, or as its code says now.
    function _signedByKeyOrCode(bytes32 id, address signer, bytes32 digest, bytes calldata signature) internal view {
        if (msg.sender == signer) return;
        if (!Signatures.isByKeyOrCode(signer, digest, signature)) revert NotSigned(id, signer);
    }
}
