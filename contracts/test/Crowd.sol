// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {Book} from "./Book.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";

/// @title Four people who call anything with anything, and the book that is kept of it.
contract Crowd is Book {
    uint256 public constant PEOPLE = 4;
    uint256 public constant WEALTH = 1e12;
    uint32 private constant SHARDS = 2;
    uint32 private constant VALID = 5;

    address private immutable _verifier = address(new DigestVerifier());
    bytes private _modelPoints = abi.encode(1, 2);

    bytes32[] public models;
    bytes32[] public agreements;
    mapping(address money => uint256) public given;
    uint256 public stakes;
    /// Correct answers in each shard of a claim.
    mapping(bytes32 id => uint32) public claimed;

    constructor() {
        vm.warp(1_000_000);
        vm.roll(100);
        for (uint256 p = 0; p < PEOPLE; ++p) {
            address who = person(p);
            vm.deal(who, WEALTH);
            token.mint(who, WEALTH);
            vm.prank(who);
            token.approve(address(escrow), type(uint256).max);
            wallet[who][address(0)] = wallet[who][address(token)] = WEALTH;
        }
    }

    function person(uint256 p) public pure returns (address) {
        return vm.addr(1000 + p % PEOPLE);
    }

    function numberOfAgreements() external view returns (uint256) {
        return agreements.length;
    }

    function numberOfModels() external view returns (uint256) {
        return models.length;
    }

    // ---- anything

    function pass(uint16 time) external {
        // Mostly short, or nobody would be in time.
        vm.warp(block.timestamp + (time % 4 == 0 ? time % 400 : time % 20));
        vm.roll(block.number + 1);
    }

    function register(uint256 p, uint64 stake) external {
        address who = person(p);
        stake = uint64(stake % 1000 + 1);
        if (wallet[who][address(0)] < stake) return;
        vm.prank(who);
        models.push(registry.register{value: stake}(keccak256("architecture"), _verifier, _modelPoints, 1, ""));
        wallet[who][address(0)] -= stake;
        stakes += stake;
    }

    function retire(uint256 p, uint256 m) external {
        // Rarely, or there would soon be nothing to buy.
        if (models.length < 3 || p % 8 >= PEOPLE) return;
        vm.prank(person(p));
        (bool success,) = address(registry).call(abi.encodeCall(registry.retire, models[m % models.length]));
        calls += success ? 1 : 0;
    }

    function withdrawStake(uint256 p, uint256 m, bool wait) external {
        if (models.length == 0) return;
        IModelRegistry.Model memory model = registry.model(models[m % models.length]);
        if (wait && model.retiresAt >= block.timestamp) vm.warp(uint256(model.retiresAt) + 1);
        vm.prank(person(p));
        (bool success,) = address(registry).call(abi.encodeCall(registry.withdrawStake, models[m % models.length]));
        if (!success) return;
        _isTrue(person(p) == model.seller && block.timestamp > model.retiresAt, "stake paid by the rule");
        for (uint256 i = 0; i < agreements.length; ++i) {
            IAgreement.Agreement memory a = escrow.agreement(agreements[i]);
            // Here and not as an invariant: once the agreement is over too, nobody sees it any more.
            if (a.terms.modelId == models[m % models.length]) _isTrue(!_mayBeContested(a), "stake paid too early");
        }
        wallet[model.seller][address(0)] += model.stake;
        stakes -= model.stake;
        ++calls;
    }

    function _mayBeContested(IAgreement.Agreement memory a) private view returns (bool) {
        uint256 last = uint256(a.terms.claimBy) + a.terms.window + a.terms.proveTime;
        return a.state < IAgreement.State.Cancelled && block.timestamp <= last;
    }

    /// @dev Opens, and often walks on at once: the later the state, the fewer random calls would find the way there.
    function open(uint256 p, uint256 m, uint256 amounts, uint16 kind, uint8 walk, uint256 flaw) external {
        if (models.length == 0) return;
        IAgreement.Terms memory terms = _terms(models[m % models.length], amounts, kind);
        // Now and then the terms are as bad as the fuzzer likes.
        if (flaw % 16 == 1) terms.claimBy = uint48(flaw >> 8);
        if (flaw % 16 == 2) terms.penalty = uint128(flaw >> 8);
        if (flaw % 16 == 3) terms.shards = uint32(flaw >> 8);
        if (flaw % 16 == 4) terms.previewShards = uint32(flaw >> 8);

        address who = person(p);
        bytes32 id = escrow.agreementIdOf(who, escrow.nonces(who), terms);
        uint256 deposit = uint256(terms.price) + terms.buyerBond;
        uint256 value = terms.token == address(0) ? deposit : 0;
        if (!_try(who, id, value, abi.encodeCall(escrow.open, terms))) return;
        agreements.push(id);
        if (walk % 8 > 0) accept(p, 0, 2);
        if (walk % 8 > 1) draw(p, 0);
        if ((walk % 8 == 2 || walk % 8 == 3) && walk >= 128) send(p, 0, 2);
        if (walk % 8 > 2) proceed(p, 0, 2);
        if (walk % 8 > 3) acknowledge(p, 0, 2);
        if (walk % 8 > 4) claim(p, 0, walk >> 3, 2);
        if (walk % 8 > 5) contest(p, 0, walk >> 3, 2);
    }

    function _terms(bytes32 modelId, uint256 amounts, uint16 kind)
        private
        view
        returns (IAgreement.Terms memory terms)
    {
        terms.modelId = modelId;
        terms.datasetRoot = keccak256(abi.encode(_leaf(0), _leaf(1)));
        terms.token = kind & 1 == 0 ? address(0) : address(token);
        terms.metric = kind & 2 == 0 ? IAgreement.Metric.Top1 : IAgreement.Metric.TopK;
        terms.mode = kind & 4 == 0 ? IAgreement.Mode.Optimistic : IAgreement.Mode.Eager;
        terms.previewShards = (kind >> 3) & 1;
        (terms.shards, terms.samples, terms.threshold) = (SHARDS, SHARDS * VALID, (kind >> 4) % (SHARDS * VALID + 1));
        (terms.price, terms.bond) = (uint32(amounts) % 1000, uint32(amounts >> 32) % 1000);
        terms.penalty = uint128(_bound(uint32(amounts >> 64), 0, terms.bond));
        terms.previewFee = uint128(_bound(uint32(amounts >> 96), 0, terms.bond));
        (terms.buyerBond, terms.contestFee) = (uint32(amounts >> 128) % 1000, uint32(amounts >> 160) % 1000);
        uint48 now_ = uint48(block.timestamp);
        (terms.acceptBy, terms.previewBy, terms.deliverBy, terms.claimBy) =
        (now_ + 300, now_ + 400, now_ + 600, now_ + 900);
        (terms.responseTime, terms.window, terms.proveTime) = (50, 200, 100);
    }

    function cancel(uint256 p, uint256 i, uint8 wrong) external {
        if (agreements.length == 0) return;
        _send(_party(p, i, wrong, true), i, 0, abi.encodeCall(escrow.cancel, _pick(i)));
    }

    function accept(uint256 p, uint256 i, uint8 wrong) public {
        if (agreements.length == 0) return;
        IAgreement.Agreement memory a = escrow.agreement(_pick(i));
        uint256 value = a.terms.token == address(0) ? a.terms.bond : 0;
        if (wrong % 16 == 0) value += 1;
        _send(_party(p, i, wrong, false), i, value, abi.encodeCall(escrow.accept, _pick(i)));
    }

    function draw(uint256 p, uint256 i) public {
        if (agreements.length == 0) return;
        uint256 block_ = escrow.agreement(_pick(i)).drawBlock;
        if (p % 8 != 0 && block.number <= block_) vm.roll(block_ + 1);
        _send(person(p), i, 0, abi.encodeCall(escrow.draw, _pick(i)));
    }

    function send(uint256 p, uint256 i, uint8 wrong) public {
        if (agreements.length == 0) return;
        _send(_party(p, i, wrong, true), i, 0, abi.encodeCall(escrow.send, (_pick(i), bytes32(i))));
    }

    function proceed(uint256 p, uint256 i, uint8 wrong) public {
        if (agreements.length == 0) return;
        _send(_party(p, i, wrong, false), i, 0, abi.encodeCall(escrow.proceed, (_pick(i), bytes32(i), "")));
    }

    function acknowledge(uint256 p, uint256 i, uint8 wrong) public {
        if (agreements.length == 0) return;
        _send(_party(p, i, wrong, false), i, 0, abi.encodeCall(escrow.acknowledge, (_pick(i), bytes32(i), "")));
    }

    function acknowledgeBySignature(uint256 p, uint256 i, uint256 signer) external {
        if (agreements.length == 0) return;
        bytes memory signature = _sign(signer, escrow.receiptDigest(_pick(i), 0));
        _send(person(p), i, 0, abi.encodeCall(escrow.acknowledge, (_pick(i), 0, signature)));
    }

    function decline(uint256 p, uint256 i, uint8 wrong) external {
        if (agreements.length == 0) return;
        _send(_party(p, i, wrong, false), i, 0, abi.encodeCall(escrow.decline, _pick(i)));
    }

    function deny(uint256 p, uint256 i, uint8 wrong) external {
        if (agreements.length == 0) return;
        _send(_party(p, i, wrong, false), i, 0, abi.encodeCall(escrow.deny, _pick(i)));
    }

    /// @dev Claims that are true, and some that are not.
    function claim(uint256 p, uint256 i, uint32 right, uint8 wrong) public {
        if (agreements.length == 0) return;
        right %= VALID + 1;
        SumTree.Node memory top = _top(_pick(i), right);
        uint32 total = SHARDS * right + (wrong % 16 == 3 ? 1 : 0);
        bytes memory call_ = abi.encodeCall(escrow.claim, (_pick(i), top.hash, total, total));
        if (_send(_party(p, i, wrong, false), i, 0, call_)) claimed[_pick(i)] = right;
    }

    function approve(uint256 p, uint256 i, uint256 signer) external {
        if (agreements.length == 0) return;
        bytes memory signature = _sign(signer, escrow.approvalDigest(_pick(i), escrow.agreement(_pick(i)).claimRoot));
        _send(person(p), i, 0, abi.encodeCall(escrow.approve, (_pick(i), signature)));
    }

    function contest(uint256 p, uint256 i, uint32 index, uint8 wrong) public {
        if (agreements.length == 0) return;
        IAgreement.Terms memory terms = escrow.agreement(_pick(i)).terms;
        uint256 value = terms.token == address(0) ? terms.contestFee : 0;
        if (wrong % 16 == 0) value += 1;
        bytes memory call_ = abi.encodeCall(escrow.contest, (_pick(i), index % (SHARDS + 1)));
        _send(_party(p, i, wrong, true), i, value, call_);
    }

    function answer(uint256 p, uint256 i, uint32 index, uint8 flaw) external {
        if (agreements.length == 0) return;
        bytes32 id = _pick(i);
        index %= SHARDS;
        uint32 right = claimed[id];
        IShards.ShardProof memory shown = _shown(id, index, right);
        SumTree.Node[] memory path = new SumTree.Node[](1);
        path[0] = _sumLeaf(id, 1 - index, right);
        if (flaw % 16 == 1) shown.proof[0] ^= 0x01;
        if (flaw % 16 == 2) path[0].sums += 1;
        if (flaw % 16 == 3) shown.shard.top1 = right == 0 ? 1 : 0;
        bool counted = _send(person(p), i, 0, abi.encodeCall(escrow.answer, (id, shown, path)));
        _isTrue(!counted || flaw % 16 == 0 || flaw % 16 > 3, "only true proofs count");
    }

    function proveShard(uint256 p, uint256 i, uint32 index, uint32 right, uint8 flaw) external {
        if (agreements.length == 0) return;
        IShards.ShardProof memory shown = _shown(_pick(i), index % SHARDS, right % (VALID + 1));
        // Now and then the proof, or what it is about, is not what it should be.
        if (flaw % 16 == 1) shown.proof[0] ^= 0x01;
        if (flaw % 16 == 2) shown.merkleProof[0] = 0;
        if (flaw % 16 == 3) shown.shard.top1 += 1;
        bool counted = _send(person(p), i, 0, abi.encodeCall(escrow.proveShard, (_pick(i), shown)));
        _isTrue(!counted || flaw % 16 == 0 || flaw % 16 > 3, "only true proofs count");
    }

    function expire(uint256 p, uint256 i) external {
        if (agreements.length == 0) return;
        i = p % 2 == 0 ? i : 4 * (i % 64); // any: the forgotten ones are the ones to end
        IAgreement.Agreement memory before = escrow.agreement(_pick(i));
        bool ended_ = _send(person(p), i, 0, abi.encodeCall(escrow.expire, _pick(i)));
        bool due = before.state < IAgreement.State.Cancelled && block.timestamp > before.deadline;
        _isTrue(ended_ || !due, "whatever is due can be ended by anyone");
    }

    function withdraw(uint256 p, bool ether_) external {
        (address who, address money) = (person(p), ether_ ? address(0) : address(token));
        uint256 amount = credit[who][money];
        bool success = _try(who, 0, 0, abi.encodeCall(escrow.withdraw, money));
        _isTrue(success == (amount != 0), "whoever has credit is paid");
        wallet[who][money] += amount;
        credit[who][money] = 0;
    }

    /// @dev Tokens sent without a deposit belong to nobody and upset nothing.
    function give(uint256 p, uint8 amount) external {
        vm.prank(person(p));
        token.transfer(address(escrow), amount);
        wallet[person(p)][address(token)] -= amount;
        given[address(token)] += amount;
    }

    // ---- how calls are made

    /// @dev The buyer or the seller, or now and then somebody.
    function _party(uint256 p, uint256 i, uint8 wrong, bool buyer) private view returns (address) {
        IAgreement.Agreement memory a = escrow.agreement(_pick(i));
        return wrong % 8 == 1 ? person(p) : buyer ? a.buyer : a.seller;
    }

    function _send(address who, uint256 i, uint256 value, bytes memory call_) private returns (bool) {
        return _try(who, _pick(i), value, call_);
    }

    function _sign(uint256 signer, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(1000 + signer % PEOPLE, digest);
        return abi.encodePacked(r, s, v);
    }

    function _shown(bytes32 id, uint32 index, uint32 right) private view returns (IShards.ShardProof memory shown) {
        shown.shard = IShards.Shard(index, VALID, right, right);
        (shown.modelPoints, shown.shardPoints) = (_modelPoints, _points(index));
        shown.merkleProof = new bytes32[](1);
        shown.merkleProof[0] = _leaf(1 - index);
        shown.proof = bytes.concat(_proof(id, shown.shard));
    }

    function _proof(bytes32 id, IShards.Shard memory shard) private view returns (bytes32) {
        address payee = escrow.agreement(id).seller;
        bytes32 digest = keccak256(abi.encode(block.chainid, address(escrow), id, shard.index, payee));
        uint256 context =
            uint256(digest) % 21888242871839275222246405745257275088548364400416034343698204186575808495617;
        bytes memory scalars = abi.encode(shard.valid, shard.top1, shard.topk, context);
        return keccak256(bytes.concat(_modelPoints, _points(shard.index), scalars));
    }

    function _sumLeaf(bytes32 id, uint32 index, uint32 right) private view returns (SumTree.Node memory) {
        bytes memory proof = bytes.concat(_proof(id, IShards.Shard(index, VALID, right, right)));
        return SumTree.leaf(index, VALID, right, right, keccak256(proof));
    }

    function _top(bytes32 id, uint32 right) private view returns (SumTree.Node memory) {
        SumTree.Node memory left = _sumLeaf(id, 0, right);
        SumTree.Node memory other = _sumLeaf(id, 1, right);
        return SumTree.Node(keccak256(abi.encode(left, other)), left.sums + other.sums);
    }

    function _pick(uint256 i) private view returns (bytes32) {
        // Mostly one of the last few, so that stories go on; else any, to look after the forgotten ones.
        uint256 window = i % 4 == 0 || agreements.length < 4 ? agreements.length : 4;
        return agreements[agreements.length - 1 - i % window];
    }

    function _points(uint256 index) private pure returns (bytes memory) {
        return abi.encode(index, 7);
    }

    function _leaf(uint256 index) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(index, VALID, keccak256(_points(index))))));
    }
}
