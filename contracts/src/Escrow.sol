// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Deal} from "./Deal.sol";
import {IEscrow} from "./IEscrow.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {ShardProofs} from "./ShardProofs.sol";
import {SumTree} from "./SumTree.sol";
import {TermsRules} from "./TermsRules.sol";

/// @title The agreement's state machine.
/// @dev No owner, no upgrade, no pause. Every function judges in one order: agreement known, state, mode, caller,
/// deadline, arguments; then it writes the state, then it moves money.
contract Escrow is IEscrow, TermsRules, ShardProofs, EIP712, Nonces {
    bytes32 private constant PREVIEW_TYPEHASH = keccak256("Preview(bytes32 agreement,bytes32 ciphertextHash)");
    bytes32 private constant RECEIPT_TYPEHASH = keccak256("Receipt(bytes32 agreement,bytes32 ciphertextHash)");
    bytes32 private constant APPROVAL_TYPEHASH = keccak256("Approval(bytes32 agreement,bytes32 claimRoot)");

    /// @dev Blocks from acceptance to the one whose hash draws the preview.
    uint48 private constant DRAW_DELAY = 1;
    /// @dev How many blocks back the chain knows hashes.
    uint48 private constant KNOWN_BLOCKS = 256;

    // Written by `open`, through a storage pointer.
    // slither-disable-next-line uninitialized-state
    mapping(bytes32 id => Agreement) private _agreements;

    constructor(IModelRegistry registry_) Deal(registry_) EIP712("zknode Escrow", "1") {}

    // ---- before the test set is shown

    /// @inheritdoc IEscrow
    function open(Terms calldata terms) external payable nonReentrant returns (bytes32 id) {
        uint256 last = uint256(terms.claimBy) + terms.window + terms.proveTime;
        address seller = _ownerOf(terms.modelId, last);
        _checkTerms(terms);
        uint256 nonce = _useNonce(msg.sender);
        id = agreementIdOf(msg.sender, nonce, terms);
        Agreement storage a = _agreements[id];
        a.terms = terms;
        a.buyer = msg.sender;
        a.seller = seller;
        _enter(a, State.Open, terms.acceptBy);
        emit Opened(id, msg.sender, terms.modelId, seller, nonce, terms);
        _deposit(terms.token, uint256(terms.price) + terms.buyerBond);
    }

    /// @inheritdoc IEscrow
    function cancel(bytes32 id) external nonReentrant {
        Agreement storage a = _in(id, State.Open);
        _onlyBuyer(a);
        _inTime(a.deadline);
        _cancel(id, a);
    }

    /// @inheritdoc IEscrow
    function accept(bytes32 id) external payable nonReentrant {
        Agreement storage a = _in(id, State.Open);
        _onlySeller(a);
        _inTime(a.deadline);
        if (a.terms.previewShards == 0) {
            _enter(a, State.Previewed, a.terms.deliverBy);
        } else {
            a.drawBlock = uint48(block.number) + DRAW_DELAY;
            _enter(a, State.Accepted, a.terms.previewBy);
        }
        emit Accepted(id, a.drawBlock);
        _deposit(a.terms.token, a.terms.bond);
    }

    /// @inheritdoc IEscrow
    function draw(bytes32 id) external {
        Agreement storage a = _in(id, State.Accepted);
        _inTime(a.deadline);
        if (block.number <= a.drawBlock) revert DrawTooEarly(a.drawBlock, block.number);
        if (block.number > a.drawBlock + KNOWN_BLOCKS) revert DrawTooLate(a.drawBlock, block.number);
        // The id makes it differ between agreements accepted in one block.
        a.seed = keccak256(abi.encode(blockhash(a.drawBlock), id));
        _enter(a, State.Drawn, a.terms.previewBy);
        emit Drawn(id, a.seed);
    }

    // ---- delivery

    /// @inheritdoc IEscrow
    function send(bytes32 id, bytes32 ciphertextHash) external {
        Agreement storage a = _known(id);
        bool preview = a.state == State.Drawn;
        if (!preview && a.state != State.Previewed) revert WrongState(a.state);
        _onlyBuyer(a);
        _inTime(a.deadline);
        uint48 answerBy = a.deadline + a.terms.responseTime;
        _enter(a, preview ? State.PreviewSent : State.RestSent, answerBy);
        emit Sent(id, ciphertextHash);
    }

    /// @inheritdoc IEscrow
    function proceed(bytes32 id, bytes32 ciphertextHash, bytes calldata signature) external {
        Agreement storage a = _known(id);
        if (a.state != State.Drawn && a.state != State.PreviewSent) revert WrongState(a.state);
        _signedByKeyOrCode(id, a.seller, previewDigest(id, ciphertextHash), signature);
        _inTime(a.deadline);
        _enter(a, State.Previewed, a.terms.deliverBy);
        emit Proceeded(id, ciphertextHash);
    }

    /// @inheritdoc IEscrow
    function acknowledge(bytes32 id, bytes32 ciphertextHash, bytes calldata signature) external {
        Agreement storage a = _known(id);
        if (a.state != State.Previewed && a.state != State.RestSent) revert WrongState(a.state);
        _signedByKeyOrCode(id, a.seller, receiptDigest(id, ciphertextHash), signature);
        _inTime(a.deadline);
        a.ciphertextHash = ciphertextHash;
        _enter(a, State.Delivered, a.terms.claimBy);
        emit Acknowledged(id, ciphertextHash);
    }

    /// @inheritdoc IEscrow
    function decline(bytes32 id) external nonReentrant {
        Agreement storage a = _known(id);
        if (a.state < State.Accepted || a.state > State.RestSent) revert WrongState(a.state);
        _onlySeller(a);
        _inTime(a.deadline);
        _decline(id, a, a.state == State.Accepted ? 0 : a.terms.previewFee);
    }

    /// @inheritdoc IEscrow
    function deny(bytes32 id) external nonReentrant {
        Agreement storage a = _known(id);
        if (a.state != State.PreviewSent && a.state != State.RestSent) revert WrongState(a.state);
        _onlySeller(a);
        _inTime(a.deadline);
        _enter(a, State.Denied, 0);
        emit Denied(id);
        (uint256 fee, uint256 buyerBond) = (a.terms.previewFee, a.terms.buyerBond);
        _pay(a, a.terms.price, a.terms.bond - fee);
        _burn(a.terms.token, fee + buyerBond);
    }

    // ---- the count

    /// @inheritdoc IEscrow
    function claim(bytes32 id, bytes32 node, uint32 top1, uint32 topk) external {
        Agreement storage a = _in(id, State.Delivered);
        _inMode(a, Mode.Optimistic);
        _onlySeller(a);
        _inTime(a.deadline);
        bytes32 root = _claimRoot(node, a.terms.samples, top1, topk);
        uint48 windowEnd = uint48(block.timestamp) + a.terms.window;
        a.claimRoot = root;
        a.correct = a.terms.metric == Metric.Top1 ? top1 : topk;
        a.windowEnd = windowEnd;
        _enter(a, State.Claimed, windowEnd);
        emit Claimed(id, root, top1, topk, windowEnd);
    }

    /// @inheritdoc IEscrow
    function approve(bytes32 id, bytes calldata signature) external nonReentrant {
        Agreement storage a = _in(id, State.Claimed);
        _signedByKeyOrCode(id, a.buyer, approvalDigest(id, a.claimRoot), signature);
        _inTime(a.deadline);
        emit Approved(id);
        _settle(id, a);
    }

    /// @inheritdoc IEscrow
    function contest(bytes32 id, uint32 index) external payable nonReentrant {
        Agreement storage a = _known(id);
        if (a.state != State.Claimed && a.state != State.Contested) revert WrongState(a.state);
        _onlyBuyer(a);
        _inTime(a.deadline);
        _inTime(a.windowEnd);
        _setContested(id, index, a.terms.shards);
        ++a.contests;
        // One deadline for all open contests: a later one prolongs the earlier, and only the buyer makes them.
        uint48 answerBy = uint48(block.timestamp) + a.terms.proveTime;
        _enter(a, State.Contested, answerBy);
        emit Contested(id, index, answerBy);
        _deposit(a.terms.token, a.terms.contestFee);
    }

    /// @inheritdoc IEscrow
    function answer(bytes32 id, ShardProof calldata shardProof, SumTree.Node[] calldata path) external nonReentrant {
        Agreement storage a = _in(id, State.Contested);
        _inTime(a.deadline);
        Shard calldata s = shardProof.shard;
        _isOwed(id, s.index, a.terms.shards);
        _checkLeaf(a.claimRoot, a.terms.shards, shardProof, path);
        _checkShardOf(id, a, shardProof);

        _setProven(id, s.index);
        ++a.proven;
        --a.contests;
        if (a.contests == 0) _enter(a, State.Claimed, a.windowEnd);
        emit ShardProven(id, s.index, s.valid, s.top1, s.topk);
        _credit(a.seller, a.terms.token, a.terms.contestFee);
    }

    /// @inheritdoc IEscrow
    function proveShard(bytes32 id, ShardProof calldata shardProof) external nonReentrant {
        Agreement storage a = _in(id, State.Delivered);
        _inMode(a, Mode.Eager);
        _inTime(a.deadline);
        Shard calldata s = shardProof.shard;
        _inRange(s.index, a.terms.shards);
        _isNotProven(id, s.index);
        _checkShardOf(id, a, shardProof);
        _count(id, a, s);
    }

    /// @inheritdoc IEscrow
    function expire(bytes32 id) external nonReentrant {
        Agreement storage a = _known(id);
        State state = a.state;
        if (state >= State.Cancelled) revert WrongState(state);
        bool missed = state == State.Accepted && block.number > a.drawBlock + KNOWN_BLOCKS;
        if (block.timestamp <= a.deadline && !missed) revert TooEarly(a.deadline, block.timestamp);

        if (state == State.Open) _cancel(id, a);
        else if (state == State.Accepted) _decline(id, a, 0);
        else if (state == State.Drawn || state == State.Previewed) _forfeit(id, a);
        else if (state == State.PreviewSent || state == State.RestSent) _decline(id, a, a.terms.previewFee);
        else if (state == State.Claimed) _settle(id, a);
        else _slash(id, a);
    }

    // ---- views

    /// @inheritdoc IEscrow
    function agreement(bytes32 id) external view returns (Agreement memory) {
        return _agreements[id];
    }

    /// @inheritdoc IEscrow
    function agreementIdOf(address buyer, uint256 nonce, Terms calldata terms) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), buyer, nonce, terms));
    }

    /// @inheritdoc IEscrow
    function previewDigest(bytes32 id, bytes32 ciphertextHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(PREVIEW_TYPEHASH, id, ciphertextHash)));
    }

    /// @inheritdoc IEscrow
    function receiptDigest(bytes32 id, bytes32 ciphertextHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, id, ciphertextHash)));
    }

    /// @inheritdoc IEscrow
    function approvalDigest(bytes32 id, bytes32 claimRoot) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(APPROVAL_TYPEHASH, id, claimRoot)));
    }

    // ---- the ends, and who gets what

    function _cancel(bytes32 id, Agreement storage a) private {
        _enter(a, State.Cancelled, 0);
        emit Cancelled(id);
        _pay(a, uint256(a.terms.price) + a.terms.buyerBond, 0);
    }

    function _decline(bytes32 id, Agreement storage a, uint256 fee) private {
        _enter(a, State.Declined, 0);
        emit Declined(id);
        _pay(a, uint256(a.terms.price) + a.terms.buyerBond + fee, a.terms.bond - fee);
    }

    function _forfeit(bytes32 id, Agreement storage a) private {
        _enter(a, State.Forfeited, 0);
        emit Forfeited(id);
        _pay(a, a.terms.price, uint256(a.terms.bond) + a.terms.buyerBond);
    }

    function _slash(bytes32 id, Agreement storage a) private {
        // Fees of contests that nobody answered; none where there was no contest.
        uint256 fees = uint256(a.terms.contestFee) * a.contests;
        _enter(a, State.Slashed, 0);
        emit Slashed(id);
        _pay(a, uint256(a.terms.price) + a.terms.buyerBond + a.terms.bond + fees, 0);
    }

    function _settle(bytes32 id, Agreement storage a) private {
        bool passed = a.correct >= a.terms.threshold;
        _enter(a, State.Settled, 0);
        emit Settled(id, a.correct, passed);
        (uint256 price, uint256 bond, uint256 penalty) = (a.terms.price, a.terms.bond, a.terms.penalty);
        if (passed) _pay(a, a.terms.buyerBond, price + bond);
        else _pay(a, price + a.terms.buyerBond + penalty, bond - penalty);
    }

    function _pay(Agreement storage a, uint256 toBuyer, uint256 toSeller) private {
        _credit(a.buyer, a.terms.token, toBuyer);
        _credit(a.seller, a.terms.token, toSeller);
    }

    /// @dev Counts a proven shard; the last one settles.
    function _count(bytes32 id, Agreement storage a, Shard calldata s) private {
        (uint32 shards, uint32 samples) = (a.terms.shards, a.terms.samples);
        uint32 proven = a.proven + 1;
        uint256 valid = uint256(a.valid) + s.valid;
        if (valid > samples || (proven == shards && valid != samples)) revert SamplesMismatch(samples, valid);
        _setProven(id, s.index);
        a.proven = proven;
        // At most `samples`, which fits.
        a.valid = uint32(valid);
        a.correct += a.terms.metric == Metric.Top1 ? s.top1 : s.topk;
        emit ShardProven(id, s.index, s.valid, s.top1, s.topk);
        if (proven == shards) _settle(id, a);
    }

    /// @dev A true proof of the agreed shard, for this agreement and payee.
    function _checkShardOf(bytes32 id, Agreement storage a, ShardProof calldata p) private view {
        uint256 context = _contextOf(id, p.shard.index, a.seller);
        _checkShard(registry.model(a.terms.modelId), a.terms.datasetRoot, a.terms.shards, context, p);
    }

    // ---- who, what, when

    /// @dev The only place where an agreement's state is written.
    function _enter(Agreement storage a, State state, uint48 deadline) private {
        a.state = state;
        a.deadline = deadline;
    }

    function _known(bytes32 id) private view returns (Agreement storage a) {
        a = _agreements[id];
        if (a.state == State.None) revert UnknownAgreement(id);
    }

    function _in(bytes32 id, State expected) private view returns (Agreement storage a) {
        a = _known(id);
        if (a.state != expected) revert WrongState(a.state);
    }

    function _inMode(Agreement storage a, Mode expected) private view {
        if (a.terms.mode != expected) revert WrongMode(a.terms.mode);
    }

    function _onlyBuyer(Agreement storage a) private view {
        if (msg.sender != a.buyer) revert OnlyBuyer(a.buyer, msg.sender);
    }

    function _onlySeller(Agreement storage a) private view {
        if (msg.sender != a.seller) revert OnlySeller(a.seller, msg.sender);
    }
}
