// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title Registered models and their stakes.
/// @dev Trusts nobody: an escrow that opens agreements only on models not yet retired, and only for at most
/// `NOTICE_PERIOD`, knows that the stake outlives them; no counter of live agreements has to be kept, and any number
/// of escrows may share the registry.
contract ModelRegistry is IModelRegistry, Nonces {
    /// @inheritdoc IModelRegistry
    uint40 public constant NOTICE_PERIOD = 30 days;

    /// @dev Length of an uncompressed G1 point.
    uint256 private constant POINT = 64;

    mapping(bytes32 modelId => Model) private _models;

    /// @inheritdoc IModelRegistry
    function register(
        bytes32 architecture,
        address verifier,
        bytes calldata modelPoints,
        uint16 shardPoints,
        string calldata endpoint
    ) external payable returns (bytes32 modelId) {
        if (msg.value == 0) revert NoStake();
        if (msg.value > type(uint96).max) revert StakeTooLarge(msg.value);
        if (verifier.code.length == 0) revert VerifierWithoutCode(verifier);
        if (modelPoints.length == 0 || modelPoints.length % POINT != 0) revert PointsLength(modelPoints.length);
        if (shardPoints == 0) revert NoShardPoints();

        bytes32 pointsHash = keccak256(modelPoints);
        modelId = modelIdOf(msg.sender, _useNonce(msg.sender), architecture, verifier, pointsHash, shardPoints);
        _models[modelId] = Model({
            seller: msg.sender,
            stake: uint96(msg.value),
            verifier: verifier,
            registeredBlock: uint40(block.number),
            retiresAt: 0,
            shardPoints: shardPoints,
            verifierCodehash: verifier.codehash,
            architecture: architecture,
            modelPointsHash: pointsHash
        });
        emit ModelRegistered(
            modelId,
            msg.sender,
            architecture,
            verifier,
            verifier.codehash,
            msg.value,
            modelPoints,
            shardPoints,
            endpoint
        );
    }

    /// @inheritdoc IModelRegistry
    function retire(bytes32 modelId) external {
        Model storage m = _ownModel(modelId);
        if (m.retiresAt != 0) revert AlreadyRetired(modelId, m.retiresAt);
        m.retiresAt = uint40(block.timestamp) + NOTICE_PERIOD;
        emit ModelRetired(modelId, m.retiresAt);
    }

    /// @inheritdoc IModelRegistry
    function withdrawStake(bytes32 modelId) external {
        Model storage m = _ownModel(modelId);
        if (m.retiresAt == 0) revert NotRetired(modelId);
        if (block.timestamp <= m.retiresAt) revert StakeLocked(m.retiresAt, block.timestamp);
        uint256 amount = m.stake;
        if (amount == 0) revert StakeAlreadyWithdrawn(modelId);
        m.stake = 0;
        emit StakeWithdrawn(modelId, msg.sender, amount);
        (bool sent,) = msg.sender.call{value: amount}("");
        if (!sent) revert EtherRefused(msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function model(bytes32 modelId) external view returns (Model memory) {
        return _models[modelId];
    }

    /// @inheritdoc IModelRegistry
    function modelIdOf(
        address seller,
        uint256 nonce,
        bytes32 architecture,
        address verifier,
        bytes32 modelPointsHash,
        uint16 shardPoints
    ) public view returns (bytes32) {
        return keccak256(
            abi.encode(
                block.chainid, address(this), seller, nonce, architecture, verifier, modelPointsHash, shardPoints
            )
        );
    }

    /// @dev The caller's own model.
    function _ownModel(bytes32 modelId) private view returns (Model storage m) {
        m = _models[modelId];
        if (m.seller == address(0)) revert UnknownModel(modelId);
        if (m.seller != msg.sender) revert OnlySeller(m.seller, msg.sender);
    }
}
