// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {DatasetRoot} from "./DatasetRoot.sol";
import {IEscrow} from "./IEscrow.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {Ledger} from "./Ledger.sol";

/// @title The agreement's state machine.
/// @dev No owner, no upgrade, no pause. Every function judges in one order: agreement known, state, caller, deadline,
/// arguments; then it writes the state, then it moves money.
contract Escrow is IEscrow, Ledger, EIP712, Nonces {
    using BitMaps for BitMaps.BitMap;

    /// @dev Order of the BN254 scalar field, in which proofs carry their context.
    uint256 private constant SCALAR_ORDER =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;

    bytes32 private constant RECEIPT_TYPEHASH = keccak256("Receipt(bytes32 agreement,bytes32 ciphertextHash)");

    /// @inheritdoc IEscrow
    IModelRegistry public immutable registry;

    mapping(bytes32 id => Agreement) private _agreements;
    mapping(bytes32 id => BitMaps.BitMap) private _provenShards;

    constructor(IModelRegistry registry_) EIP712("zknode Escrow", "1") {
        registry = registry_;
    }

    /// @inheritdoc IEscrow
    function open(Terms calldata terms) external payable nonReentrant returns (bytes32 id) {
        address seller = _sellerOf(terms.modelId, terms.proveBy);
        _checkTerms(terms);
        uint256 nonce = _useNonce(msg.sender);
        id = agreementIdOf(msg.sender, nonce, terms);
        Agreement storage a = _agreements[id];
        a.terms = terms;
        a.buyer = msg.sender;
        a.state = State.Open;
        a.seller = seller;
        emit Opened(id, msg.sender, terms.modelId, seller, nonce, terms);
        _deposit(terms.token, terms.price);
    }

    /// @inheritdoc IEscrow
    function cancel(bytes32 id) external nonReentrant {
        Agreement storage a = _inState(id, State.Open);
        if (msg.sender != a.buyer && block.timestamp <= a.terms.acceptBy) {
            revert OnlyBuyerUntil(a.terms.acceptBy, msg.sender);
        }
        a.state = State.Cancelled;
        emit Cancelled(id);
        _credit(a.buyer, a.terms.token, a.terms.price);
    }

    /// @inheritdoc IEscrow
    function accept(bytes32 id) external payable nonReentrant {
        Agreement storage a = _inState(id, State.Open);
        _onlySeller(a);
        _until(a.terms.acceptBy);
        a.state = State.Accepted;
        emit Accepted(id);
        _deposit(a.terms.token, a.terms.bond);
    }

    /// @inheritdoc IEscrow
    function decline(bytes32 id) external nonReentrant {
        Agreement storage a = _inState(id, State.Accepted);
        if (msg.sender != a.seller && block.timestamp <= a.terms.deliverBy) {
            revert OnlySellerUntil(a.terms.deliverBy, msg.sender);
        }
        a.state = State.Declined;
        emit Declined(id);
        _credit(a.buyer, a.terms.token, a.terms.price);
        _credit(a.seller, a.terms.token, a.terms.bond);
    }

    /// @inheritdoc IEscrow
    function acknowledge(bytes32 id, bytes32 ciphertextHash) external {
        Agreement storage a = _inState(id, State.Accepted);
        _onlySeller(a);
        _deliver(id, a, ciphertextHash);
    }

    /// @inheritdoc IEscrow
    function acknowledgeBySignature(bytes32 id, bytes32 ciphertextHash, bytes calldata signature) external {
        Agreement storage a = _inState(id, State.Accepted);
        if (!SignatureChecker.isValidSignatureNow(a.seller, receiptDigest(id, ciphertextHash), signature)) {
            revert ReceiptNotSigned(id, a.seller);
        }
        _deliver(id, a, ciphertextHash);
    }

    /// @inheritdoc IEscrow
    function proveShard(
        bytes32 id,
        Shard calldata shard,
        bytes calldata modelPoints,
        bytes calldata shardPoints,
        bytes32[] calldata merkleProof,
        bytes calldata proof
    ) external nonReentrant {
        Agreement storage a = _inState(id, State.Delivered);
        _until(a.terms.proveBy);
        if (shard.index >= a.terms.shards) revert ShardOutOfRange(shard.index, a.terms.shards);
        if (_provenShards[id].get(shard.index)) revert ShardAlreadyProven(shard.index);
        if (shard.top1 > shard.valid) revert CountAboveValid(shard.top1, shard.valid);
        if (shard.topk > shard.valid) revert CountAboveValid(shard.topk, shard.valid);
        _checkMembership(a.terms, shard, keccak256(shardPoints), merkleProof);

        bytes memory claim = _claim(id, shard, a.seller);
        _checkProof(a.terms.modelId, shard.index, modelPoints, bytes.concat(shardPoints, claim, proof));
        _count(id, a, shard);
    }

    /// @inheritdoc IEscrow
    function slash(bytes32 id) external nonReentrant {
        Agreement storage a = _inState(id, State.Delivered);
        if (block.timestamp <= a.terms.proveBy) revert TooEarly(a.terms.proveBy, block.timestamp);
        a.state = State.Slashed;
        emit Slashed(id);
        _credit(a.buyer, a.terms.token, uint256(a.terms.price) + a.terms.bond);
    }

    /// @inheritdoc IEscrow
    function agreement(bytes32 id) external view returns (Agreement memory) {
        return _agreements[id];
    }

    /// @inheritdoc IEscrow
    function isProven(bytes32 id, uint32 index) external view returns (bool) {
        return _provenShards[id].get(index);
    }

    /// @inheritdoc IEscrow
    function agreementIdOf(address buyer, uint256 nonce, Terms calldata terms) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), buyer, nonce, terms));
    }

    /// @inheritdoc IEscrow
    function contextOf(bytes32 id, uint32 index, address payee) public view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(this), id, index, payee))) % SCALAR_ORDER;
    }

    /// @inheritdoc IEscrow
    function receiptDigest(bytes32 id, bytes32 ciphertextHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, id, ciphertextHash)));
    }

    /// @dev Counts a proven shard; the last one settles.
    function _count(bytes32 id, Agreement storage a, Shard calldata shard) private {
        (uint32 shards, uint32 samples) = (a.terms.shards, a.terms.samples);
        uint32 proven = a.proven + 1;
        uint256 valid = uint256(a.valid) + shard.valid;
        if (valid > samples || (proven == shards && valid != samples)) revert SamplesMismatch(samples, valid);
        // At most `valid`, which fits.
        uint32 correct = a.correct + (a.terms.metric == Metric.Top1 ? shard.top1 : shard.topk);

        _provenShards[id].set(shard.index);
        a.proven = proven;
        a.valid = uint32(valid);
        a.correct = correct;
        emit ShardProven(id, shard.index, shard.valid, shard.top1, shard.topk);
        if (proven == shards) _settle(id, a, correct);
    }

    /// @dev Pays by the proven count.
    function _settle(bytes32 id, Agreement storage a, uint32 correct) private {
        bool passed = correct >= a.terms.threshold;
        a.state = State.Settled;
        emit Settled(id, correct, passed);
        (uint256 price, uint256 bond, uint256 penalty) = (a.terms.price, a.terms.bond, a.terms.penalty);
        if (passed) {
            _credit(a.seller, a.terms.token, price + bond);
        } else {
            _credit(a.buyer, a.terms.token, price + penalty);
            _credit(a.seller, a.terms.token, bond - penalty);
        }
    }

    /// @dev From here the seller proves or pays.
    function _deliver(bytes32 id, Agreement storage a, bytes32 ciphertextHash) private {
        _until(a.terms.deliverBy);
        a.state = State.Delivered;
        a.ciphertextHash = ciphertextHash;
        emit Acknowledged(id, ciphertextHash);
    }

    /// @dev The model was fixed before these terms showed a dataset, and its stake stays until `proveBy`.
    function _sellerOf(bytes32 modelId, uint48 proveBy) private view returns (address) {
        IModelRegistry.Model memory m = registry.model(modelId);
        if (m.seller == address(0)) revert UnknownModel(modelId);
        if (m.registeredBlock >= block.number) revert ModelNotEarlier(m.registeredBlock, block.number);
        if (m.retiresAt != 0) revert ModelRetiring(modelId, m.retiresAt);
        uint256 latest = block.timestamp + registry.NOTICE_PERIOD();
        if (proveBy > latest) revert AgreementTooLong(proveBy, latest);
        return m.seller;
    }

    /// @dev Terms that make sense by themselves.
    function _checkTerms(Terms calldata terms) private view {
        if (terms.token != ETHER && terms.token.code.length == 0) revert TokenWithoutCode(terms.token);
        if (terms.penalty > terms.bond) revert PenaltyAboveBond(terms.penalty, terms.bond);
        if (terms.shards == 0 || terms.shards > terms.samples) revert ShardsOutOfRange(terms.shards, terms.samples);
        if (terms.threshold > terms.samples) revert ThresholdAboveSamples(terms.threshold, terms.samples);
        (uint256 acceptBy, uint256 deliverBy, uint256 proveBy) = (terms.acceptBy, terms.deliverBy, terms.proveBy);
        if (block.timestamp >= acceptBy || acceptBy >= deliverBy || deliverBy >= proveBy) {
            revert DeadlinesOutOfOrder(block.timestamp, terms.acceptBy, terms.deliverBy, terms.proveBy);
        }
    }

    /// @dev The shard is the one the buyer committed at this index, with this many valid samples.
    function _checkMembership(
        Terms storage terms,
        Shard calldata shard,
        bytes32 shardPointsHash,
        bytes32[] calldata merkleProof
    ) private view {
        uint256 depth = DatasetRoot.depth(terms.shards);
        if (merkleProof.length != depth) revert MerkleProofLength(depth, merkleProof.length);
        bytes32 leaf = DatasetRoot.leaf(shard.index, shard.valid, shardPointsHash);
        bytes32 root = DatasetRoot.climb(leaf, shard.index, merkleProof);
        if (root != terms.datasetRoot) revert ShardNotInDataset(terms.datasetRoot, root);
    }

    /// @dev The scalars of the statement, one word each.
    function _claim(bytes32 id, Shard calldata shard, address payee) private view returns (bytes memory) {
        return abi.encode(shard.valid, shard.top1, shard.topk, contextOf(id, shard.index, payee));
    }

    /// @dev The registered verifier says 1 to the registered model followed by `rest`: shard, scalars, proof.
    function _checkProof(bytes32 modelId, uint32 index, bytes calldata modelPoints, bytes memory rest) private view {
        IModelRegistry.Model memory m = registry.model(modelId);
        bytes32 found = keccak256(modelPoints);
        if (found != m.modelPointsHash) revert ModelPointsMismatch(m.modelPointsHash, found);
        if (m.verifier.codehash != m.verifierCodehash) {
            revert VerifierChanged(m.verifierCodehash, m.verifier.codehash);
        }
        (bool success, bytes memory answer) = m.verifier.staticcall(bytes.concat(modelPoints, rest));
        if (!success || answer.length != 32 || bytes32(answer) != bytes32(uint256(1))) revert ProofRejected(index);
    }

    /// @dev The agreement, if it is in this state.
    function _inState(bytes32 id, State expected) private view returns (Agreement storage a) {
        a = _agreements[id];
        if (a.state == State.None) revert UnknownAgreement(id);
        if (a.state != expected) revert WrongState(expected, a.state);
    }

    function _onlySeller(Agreement storage a) private view {
        if (msg.sender != a.seller) revert OnlySeller(a.seller, msg.sender);
    }

    function _until(uint48 deadline) private view {
        if (block.timestamp > deadline) revert TooLate(deadline, block.timestamp);
    }
}
