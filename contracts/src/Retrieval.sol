// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Deal} from "./Deal.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {IRetrieval} from "./IRetrieval.sol";
import {ShardProofs} from "./ShardProofs.sol";
import {SumTree} from "./SumTree.sol";

/// @title The retrieval's state machine.
/// @dev No owner, no upgrade, no pause. Every function judges in one order: request known, state, caller, deadline,
/// arguments; then it writes the state, then it moves money.
contract Retrieval is IRetrieval, ShardProofs, EIP712 {
    bytes32 private constant APPROVAL_TYPEHASH =
        keccak256("Approval(bytes32 retrieval,bytes32 claimRoot,bytes32 ciphertextHash)");

    // Written by `open`, through a storage pointer.
    // slither-disable-next-line uninitialized-state
    mapping(bytes32 id => Request) private _requests;

    constructor(IModelRegistry registry_) Deal(registry_) EIP712("zknode Retrieval", "1") {}

    // ---- until there is a claim

    /// @inheritdoc IRetrieval
    function open(Terms calldata terms, uint256 nonce) external payable nonReentrant returns (bytes32 id) {
        uint256 last = uint256(terms.claimBy) + terms.window + terms.proveTime + terms.receiptTime;
        address responder = _ownerOf(terms.modelId, last);
        uint256 price = _checkTerms(terms);
        id = requestIdOf(msg.sender, nonce, terms);
        Request storage r = _requests[id];
        if (r.state != State.None) revert AlreadyOpened(id);
        r.terms = terms;
        r.requester = msg.sender;
        r.responder = responder;
        _enter(r, State.Open, terms.acceptBy);
        emit Opened(id, msg.sender, terms.modelId, responder, nonce, terms);
        _deposit(terms.token, price + terms.scanFee + terms.requesterBond);
    }

    /// @inheritdoc IRetrieval
    function cancel(bytes32 id) external nonReentrant {
        Request storage r = _in(id, State.Open);
        _onlyRequester(r);
        _inTime(r.deadline);
        _cancel(id, r);
    }

    /// @inheritdoc IRetrieval
    function accept(bytes32 id) external payable nonReentrant {
        Request storage r = _in(id, State.Open);
        _onlyResponder(r);
        _inTime(r.deadline);
        _enter(r, State.Accepted, r.terms.claimBy);
        emit Accepted(id);
        _deposit(r.terms.token, r.terms.bond);
    }

    /// @inheritdoc IRetrieval
    function claim(bytes32 id, bytes32 node, uint32 top1, uint32 topk, bytes32 ciphertextHash) external {
        Request storage r = _in(id, State.Accepted);
        _onlyResponder(r);
        _inTime(r.deadline);
        bytes32 root = _claimRoot(node, r.terms.samples, top1, topk);
        uint48 windowEnd = uint48(block.timestamp) + r.terms.window;
        (r.claimRoot, r.ciphertextHash) = (root, ciphertextHash);
        (r.matches, r.windowEnd) = (top1, windowEnd);
        _enter(r, State.Claimed, windowEnd);
        emit Claimed(id, root, top1, ciphertextHash, windowEnd);
    }

    // ---- the claim is judged

    /// @inheritdoc IRetrieval
    function approve(bytes32 id, bytes calldata signature) external nonReentrant {
        Request storage r = _in(id, State.Claimed);
        _signedByKeyOrCode(id, r.requester, approvalDigest(id, r.claimRoot, r.ciphertextHash), signature);
        _inTime(r.deadline);
        emit Approved(id);
        _settle(id, r);
    }

    /// @inheritdoc IRetrieval
    function contest(bytes32 id, uint32 index) external payable nonReentrant {
        Request storage r = _known(id);
        if (r.state != State.Claimed && r.state != State.Contested) revert WrongState(r.state);
        _onlyRequester(r);
        _inTime(r.deadline);
        _inTime(r.windowEnd);
        _setContested(id, index, r.terms.shards);
        ++r.contests;
        // One deadline for all open contests: a later one prolongs the earlier, and only the requester makes them.
        uint48 answerBy = uint48(block.timestamp) + r.terms.proveTime;
        _enter(r, State.Contested, answerBy);
        emit Contested(id, index, answerBy);
        _deposit(r.terms.token, r.terms.contestFee);
    }

    /// @inheritdoc IRetrieval
    function answer(bytes32 id, ShardProof calldata shardProof, SumTree.Node[] calldata path) external nonReentrant {
        Request storage r = _in(id, State.Contested);
        _inTime(r.deadline);
        Shard calldata s = shardProof.shard;
        _isOwed(id, s.index, r.terms.shards);
        _checkLeaf(r.claimRoot, r.terms.shards, shardProof, path);
        uint256 context = _contextOf(id, s.index, r.responder);
        _checkShard(registry.model(r.terms.modelId), r.terms.datasetRoot, r.terms.shards, context, shardProof);

        _setProven(id, s.index);
        --r.contests;
        if (r.contests == 0) {
            uint256 judgeBy = Math.max(r.windowEnd, block.timestamp + r.terms.receiptTime);
            _enter(r, State.Claimed, uint48(judgeBy));
        }
        emit ShardProven(id, s.index, s.valid, s.top1, s.topk);
        _credit(r.responder, r.terms.token, r.terms.contestFee);
    }

    /// @inheritdoc IRetrieval
    function reject(bytes32 id) external nonReentrant {
        Request storage r = _in(id, State.Claimed);
        _onlyRequester(r);
        _inTime(r.deadline);
        _enter(r, State.Rejected, 0);
        (uint256 due, uint256 left) = _split(r);
        uint256 lost = due + r.terms.requesterBond;
        emit Rejected(id, 2 * lost);
        _credit(r.requester, r.terms.token, left);
        _credit(r.responder, r.terms.token, uint256(r.terms.scanFee) + r.terms.bond - lost);
        _burn(r.terms.token, 2 * lost);
    }

    /// @inheritdoc IRetrieval
    function expire(bytes32 id) external nonReentrant {
        Request storage r = _known(id);
        State state = r.state;
        if (state >= State.Cancelled) revert WrongState(state);
        if (block.timestamp <= r.deadline) revert TooEarly(r.deadline, block.timestamp);
        if (state == State.Open) _cancel(id, r);
        else if (state == State.Claimed) _settle(id, r);
        else _slash(id, r);
    }

    // ---- views

    /// @inheritdoc IRetrieval
    function request(bytes32 id) external view returns (Request memory) {
        return _requests[id];
    }

    /// @inheritdoc IRetrieval
    function requestIdOf(address requester, uint256 nonce, Terms calldata terms) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), requester, nonce, terms));
    }

    /// @inheritdoc IRetrieval
    function approvalDigest(bytes32 id, bytes32 claimRoot, bytes32 ciphertextHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(APPROVAL_TYPEHASH, id, claimRoot, ciphertextHash)));
    }

    // ---- the ends, and who gets what

    function _cancel(bytes32 id, Request storage r) private {
        _enter(r, State.Cancelled, 0);
        emit Cancelled(id);
        _credit(r.requester, r.terms.token, _price(r) + r.terms.scanFee + r.terms.requesterBond);
    }

    function _settle(bytes32 id, Request storage r) private {
        _enter(r, State.Settled, 0);
        emit Settled(id, uint32(Math.min(r.matches, r.terms.maxItems)));
        (uint256 due, uint256 left) = _split(r);
        _credit(r.requester, r.terms.token, left + r.terms.requesterBond);
        _credit(r.responder, r.terms.token, due + r.terms.scanFee + r.terms.bond);
    }

    function _slash(bytes32 id, Request storage r) private {
        // Fees of contests that nobody answered; none where there was no contest.
        uint256 fees = uint256(r.terms.contestFee) * r.contests;
        _enter(r, State.Slashed, 0);
        emit Slashed(id);
        uint256 own = _price(r) + r.terms.scanFee + r.terms.requesterBond;
        _credit(r.requester, r.terms.token, own + r.terms.bond + fees);
    }

    /// @dev Deposited for items.
    function _price(Request storage r) private view returns (uint256) {
        return uint256(r.terms.maxItems) * r.terms.pricePerItem;
    }

    /// @dev What the claimed items cost, and what is left of the deposit for items.
    function _split(Request storage r) private view returns (uint256 due, uint256 left) {
        due = Math.min(r.matches, r.terms.maxItems) * r.terms.pricePerItem;
        left = _price(r) - due;
    }

    // ---- who, what, when

    /// @dev Terms that make sense by themselves; what all items may cost.
    function _checkTerms(Terms calldata t) private view returns (uint256 price) {
        _isMoney(t.token);
        if (t.shards == 0 || t.shards > t.samples) revert ShardsOutOfRange(t.shards, t.samples);
        price = uint256(t.maxItems) * t.pricePerItem;
        uint256 least = price + t.requesterBond;
        if (t.bond < least) revert BondTooSmall(least, t.bond);
        if (block.timestamp >= t.acceptBy || t.acceptBy >= t.claimBy) {
            revert DeadlinesOutOfOrder(block.timestamp, t.acceptBy, t.claimBy);
        }
        if (t.window == 0 || t.proveTime == 0 || t.receiptTime == 0) {
            revert NoTimeToJudge(t.window, t.proveTime, t.receiptTime);
        }
    }

    /// @dev The only place where a request's state is written.
    function _enter(Request storage r, State state, uint48 deadline) private {
        r.state = state;
        r.deadline = deadline;
    }

    function _known(bytes32 id) private view returns (Request storage r) {
        r = _requests[id];
        if (r.state == State.None) revert UnknownRequest(id);
    }

    function _in(bytes32 id, State expected) private view returns (Request storage r) {
        r = _known(id);
        if (r.state != expected) revert WrongState(r.state);
    }

    function _onlyRequester(Request storage r) private view {
        if (msg.sender != r.requester) revert OnlyRequester(r.requester, msg.sender);
    }

    function _onlyResponder(Request storage r) private view {
        if (msg.sender != r.responder) revert OnlyResponder(r.responder, msg.sender);
    }
}
