// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Where a seller fixes a model before any buyer shows a test set.
/// @notice A model is a verifier contract (one per architecture) and the G1 commitments of its weight columns.
/// Nothing of a registered model can change. The stake is the seller's deposit: no rule takes it, and it comes
/// back only a notice period after the seller retires the model, so it outlives every agreement opened before.
interface IModelRegistry {
    /// @notice A registered model. `seller == address(0)` means "not registered".
    struct Model {
        /// Owner of the model, payee of its agreements.
        address seller;
        /// Wei held for the model; 0 once withdrawn.
        uint96 stake;
        /// Contract that judges proofs of the architecture; raw calldata, returns one word 1.
        address verifier;
        /// Block of the registration; agreements open in later blocks only.
        uint40 registeredBlock;
        /// 0 while the model is offered; else the last second of the notice period.
        uint40 retiresAt;
        /// Points of one shard's commitment in this architecture, 64 bytes each.
        uint16 shardPoints;
        /// EXTCODEHASH of the verifier at registration.
        bytes32 verifierCodehash;
        /// Digest of the verifying key.
        bytes32 architecture;
        /// keccak256 of the commitment points, 64 bytes each (x, y, big-endian).
        bytes32 modelPointsHash;
    }

    /// @notice Carries everything a buyer needs to check the model off chain and to call its proofs.
    event ModelRegistered(
        bytes32 indexed modelId,
        address indexed seller,
        bytes32 indexed architecture,
        address verifier,
        bytes32 verifierCodehash,
        uint256 stake,
        bytes modelPoints,
        uint16 shardPoints,
        string endpoint
    );
    /// @notice No agreement opens on the model any more; the stake is free after `retiresAt`.
    event ModelRetired(bytes32 indexed modelId, uint40 retiresAt);
    event StakeWithdrawn(bytes32 indexed modelId, address indexed seller, uint256 amount);

    error NoStake();
    error StakeTooLarge(uint256 stake);
    /// @notice `verifier` has no code: deploy the verifier of the architecture first.
    error VerifierWithoutCode(address verifier);
    /// @notice Points are 64 bytes each and there is at least one.
    error PointsLength(uint256 length);
    /// @notice A shard is committed to by at least one point.
    error NoShardPoints();
    error UnknownModel(bytes32 modelId);
    error OnlySeller(address seller, address caller);
    error AlreadyRetired(bytes32 modelId, uint40 retiresAt);
    /// @notice Call `retire` first.
    error NotRetired(bytes32 modelId);
    error StakeLocked(uint40 retiresAt, uint256 now_);
    error StakeAlreadyWithdrawn(bytes32 modelId);
    error EtherRefused(address to);

    /// @notice Registers a model of the caller with the sent wei as its stake.
    /// @param architecture Digest of the verifying key.
    /// @param verifier Verifier contract of the architecture.
    /// @param modelPoints Commitments of the weight columns, n * 64 bytes.
    /// @param shardPoints Points of a shard's commitment: what the verifier reads between model and scalars.
    /// @param endpoint Where the seller answers; not interpreted.
    function register(
        bytes32 architecture,
        address verifier,
        bytes calldata modelPoints,
        uint16 shardPoints,
        string calldata endpoint
    ) external payable returns (bytes32 modelId);

    /// @notice Gives notice. Irrevocable: a seller who changes its mind registers again.
    function retire(bytes32 modelId) external;

    /// @notice Pays the stake to the seller once the notice period is over.
    function withdrawStake(bytes32 modelId) external;

    /// @notice The stored model; all zero when unknown.
    function model(bytes32 modelId) external view returns (Model memory);

    /// @notice keccak256(abi.encode(chainid, registry, seller, nonce, architecture, verifier, modelPointsHash, shardPoints)).
    function modelIdOf(
        address seller,
        uint256 nonce,
        bytes32 architecture,
        address verifier,
        bytes32 modelPointsHash,
        uint16 shardPoints
    ) external view returns (bytes32);

    /// @notice Seconds between notice and stake; also the longest life of an agreement.
    function NOTICE_PERIOD() external view returns (uint40);
}
