// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {IEscrow} from "../src/IEscrow.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {Shim} from "./Shim.sol";

/// @title Four people who call anything with anything, and a bookkeeper who believes only the rules.
/// @dev The book follows the states before and after a call and the terms, never the credits: what a transition is
/// worth is written down here a second time.
contract Crowd is Shim {
    uint256 public constant PEOPLE = 4;
    uint256 public constant WEALTH = 1e12;
    uint32 private constant SHARDS = 2;
    uint32 private constant VALID = 5;

    ModelRegistry public immutable registry = new ModelRegistry();
    Escrow public immutable escrow = new Escrow(registry);
    TestToken public immutable token = new TestToken();
    address private immutable _verifier = address(new DigestVerifier());
    bytes private _modelPoints = abi.encode(1, 2);

    bytes32[] public models;
    bytes32[] public agreements;
    /// What everybody must own: in the wallet, and as credit.
    mapping(address who => mapping(address money => uint256)) public wallet;
    mapping(address who => mapping(address money => uint256)) public credit;
    mapping(address money => uint256) public locked;
    mapping(address money => uint256) public given;
    uint256 public stakes;
    /// keccak256 of an agreement when it ended.
    mapping(bytes32 id => bytes32) public ended;
    /// How often each state was entered; how many calls went through.
    uint256[8] public entered;
    uint256 public calls;

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
        models.push(registry.register{value: stake}(keccak256("architecture"), _verifier, _modelPoints, ""));
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
        wallet[model.seller][address(0)] += model.stake;
        stakes -= model.stake;
        ++calls;
    }

    /// @dev Opens, and often walks on at once: the later the state, the fewer random calls would find the way there.
    function open(uint256 p, uint256 m, uint96 amounts, uint8 kind, uint8 walk, uint256 flaw) external {
        if (models.length == 0) return;
        IEscrow.Terms memory terms = _terms(models[m % models.length], amounts, kind);
        // Now and then the terms are as bad as the fuzzer likes.
        if (flaw % 16 == 1) terms.proveBy = uint48(flaw >> 8);
        if (flaw % 16 == 2) terms.penalty = uint128(flaw >> 8);
        if (flaw % 16 == 3) terms.shards = uint32(flaw >> 8);

        address who = person(p);
        bytes32 id = escrow.agreementIdOf(who, escrow.nonces(who), terms);
        uint256 value = terms.token == address(0) ? terms.price : 0;
        if (!_try(who, id, value, abi.encodeCall(escrow.open, terms))) return;
        agreements.push(id);
        if (walk % 4 > 0) accept(p, 0, 2);
        if (walk % 4 > 1) acknowledge(p, 0, 2);
        if (walk % 4 > 2) proveShard(p, 0, walk >> 2, walk >> 3, 0);
    }

    function _terms(bytes32 modelId, uint96 amounts, uint8 kind) private view returns (IEscrow.Terms memory terms) {
        terms.modelId = modelId;
        terms.datasetRoot = keccak256(abi.encode(_leaf(0), _leaf(1)));
        terms.token = kind & 1 == 0 ? address(0) : address(token);
        terms.metric = kind & 2 == 0 ? IEscrow.Metric.Top1 : IEscrow.Metric.TopK;
        (terms.shards, terms.samples, terms.threshold) = (SHARDS, SHARDS * VALID, (kind >> 2) % (SHARDS * VALID + 1));
        (terms.price, terms.bond) = (uint32(amounts) % 1000, uint32(amounts >> 32) % 1000);
        terms.penalty = uint128(_bound(amounts >> 64, 0, terms.bond));
        uint48 now_ = uint48(block.timestamp);
        (terms.acceptBy, terms.deliverBy, terms.proveBy) = (now_ + 300, now_ + 600, now_ + 900);
    }

    function cancel(uint256 p, uint256 i) external {
        if (agreements.length != 0) _try(person(p), _pick(i), 0, abi.encodeCall(escrow.cancel, _pick(i)));
    }

    function accept(uint256 p, uint256 i, uint8 wrong) public {
        if (agreements.length == 0) return;
        IEscrow.Agreement memory a = escrow.agreement(_pick(i));
        uint256 value = a.terms.token == address(0) ? a.terms.bond : 0;
        if (wrong % 16 == 0) value += 1;
        address who = wrong % 4 == 1 ? person(p) : a.seller;
        _try(who, _pick(i), value, abi.encodeCall(escrow.accept, _pick(i)));
    }

    function decline(uint256 p, uint256 i) external {
        if (agreements.length != 0) _try(person(p), _pick(i), 0, abi.encodeCall(escrow.decline, _pick(i)));
    }

    function acknowledge(uint256 p, uint256 i, uint8 wrong) public {
        if (agreements.length == 0) return;
        address who = wrong % 4 == 1 ? person(p) : escrow.agreement(_pick(i)).seller;
        _try(who, _pick(i), 0, abi.encodeCall(escrow.acknowledge, (_pick(i), bytes32(i))));
    }

    function acknowledgeBySignature(uint256 p, uint256 i, uint256 signer) external {
        if (agreements.length == 0) return;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(1000 + signer % PEOPLE, escrow.receiptDigest(_pick(i), 0));
        bytes memory signature = abi.encodePacked(r, s, v);
        _try(person(p), _pick(i), 0, abi.encodeCall(escrow.acknowledgeBySignature, (_pick(i), 0, signature)));
    }

    function proveShard(uint256 p, uint256 i, uint32 index, uint32 right, uint8 flaw) public {
        if (agreements.length == 0) return;
        bytes32 id = _pick(i);
        index %= SHARDS;
        IEscrow.Shard memory shard = IEscrow.Shard(index, VALID, right % (VALID + 1), right % (VALID + 1));
        bytes32[] memory siblings = new bytes32[](1);
        siblings[0] = _leaf(1 - index);
        bytes32 proof = _proof(id, shard);
        // Now and then the proof, or what it is about, is not what it should be.
        if (flaw % 16 == 1) proof = ~proof;
        if (flaw % 16 == 2) siblings[0] = 0;
        if (flaw % 16 == 3) shard.top1 = shard.top1 + 1;
        bool counted = _try(person(p), id, 0, _proveCall(id, shard, siblings, proof));
        _isTrue(!counted || flaw % 16 == 0 || flaw % 16 > 3, "only true proofs count");
    }

    function slash(uint256 p, uint256 i) external {
        if (agreements.length == 0) return;
        bytes32 id = _pick(4 * (i % 64)); // any: the forgotten ones are the ones to slash
        _try(person(p), id, 0, abi.encodeCall(escrow.slash, id));
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

    // ---- the book

    /// @dev Makes the call and books the transition it caused.
    function _try(address who, bytes32 id, uint256 value, bytes memory call_) private returns (bool success) {
        IEscrow.Agreement memory before = escrow.agreement(id);
        vm.prank(who);
        (success,) = address(escrow).call{value: value}(call_);
        if (!success) return false;
        ++calls;
        IEscrow.Agreement memory a = escrow.agreement(id);
        if (a.state != before.state) _book(who, id, a);
    }

    function _book(address who, bytes32 id, IEscrow.Agreement memory a) private {
        ++entered[uint256(a.state)];
        (address money, uint256 price, uint256 bond) = (a.terms.token, a.terms.price, a.terms.bond);
        if (a.state == IEscrow.State.Open) {
            wallet[who][money] -= price;
            locked[money] += price;
        } else if (a.state == IEscrow.State.Accepted) {
            wallet[who][money] -= bond;
            locked[money] += bond;
        } else if (a.state == IEscrow.State.Cancelled) {
            _pay(a.buyer, money, price);
        } else if (a.state == IEscrow.State.Declined) {
            _pay(a.buyer, money, price);
            _pay(a.seller, money, bond);
        } else if (a.state == IEscrow.State.Slashed) {
            _pay(a.buyer, money, price + bond);
        } else if (a.state == IEscrow.State.Settled) {
            uint256 toBuyer = a.correct < a.terms.threshold ? price + a.terms.penalty : 0;
            _pay(a.buyer, money, toBuyer);
            _pay(a.seller, money, price + bond - toBuyer);
        }
        if (a.state >= IEscrow.State.Cancelled) ended[id] = keccak256(abi.encode(a));
    }

    function _pay(address who, address money, uint256 amount) private {
        locked[money] -= amount;
        credit[who][money] += amount;
    }

    function _proof(bytes32 id, IEscrow.Shard memory shard) private view returns (bytes32) {
        address payee = escrow.agreement(id).seller;
        bytes32 digest = keccak256(abi.encode(block.chainid, address(escrow), id, shard.index, payee));
        uint256 context =
            uint256(digest) % 21888242871839275222246405745257275088548364400416034343698204186575808495617;
        bytes memory scalars = abi.encode(shard.valid, shard.top1, shard.topk, context);
        return keccak256(bytes.concat(_modelPoints, _points(shard.index), scalars));
    }

    function _proveCall(bytes32 id, IEscrow.Shard memory shard, bytes32[] memory siblings, bytes32 proof)
        private
        view
        returns (bytes memory)
    {
        bytes memory shardPoints = _points(shard.index);
        return abi.encodeCall(escrow.proveShard, (id, shard, _modelPoints, shardPoints, siblings, bytes.concat(proof)));
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
