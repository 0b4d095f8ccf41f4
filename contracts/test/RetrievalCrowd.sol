// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Retrieval} from "../src/Retrieval.sol";
import {SumTree} from "../src/SumTree.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {Shim} from "./Shim.sol";

/// @title Three people who call a retrieval contract with anything, and a bookkeeper who follows states and terms only.
/// @dev One shard of five items, so that the claim is one leaf.
contract RetrievalCrowd is Shim {
    uint256 public constant PEOPLE = 3;
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint32 private constant VALID = 5;

    ModelRegistry public immutable registry = new ModelRegistry();
    Retrieval public immutable retrieval = new Retrieval(registry);
    TestToken public immutable token = new TestToken();
    bytes private _modelPoints = abi.encode(1, 2);
    bytes private _shardPoints = abi.encode(3, 4);
    bytes32 public modelId;

    bytes32[] public requests;
    /// What the rules gave everybody so far, withdrawn or not.
    mapping(address who => mapping(address money => uint256)) public earned;
    mapping(address who => mapping(address money => uint256)) public withdrawn;
    /// keccak256 of a request when it ended.
    mapping(bytes32 id => bytes32) public ended;
    /// How often each state was entered.
    uint256[9] public entered;

    constructor() {
        vm.warp(1_000_000);
        vm.roll(100);
        for (uint256 p = 0; p < PEOPLE; ++p) {
            vm.deal(person(p), 1e12);
            token.mint(person(p), 1e12);
            vm.prank(person(p));
            token.approve(address(retrieval), type(uint256).max);
        }
        address verifier = address(new DigestVerifier());
        vm.prank(person(0));
        modelId = registry.register{value: 1}(keccak256("architecture"), verifier, _modelPoints, 1, "");
        vm.roll(101);
    }

    function person(uint256 p) public pure returns (address) {
        return vm.addr(2000 + p % PEOPLE);
    }

    function numberOfRequests() external view returns (uint256) {
        return requests.length;
    }

    // ---- anything

    function pass(uint16 time) external {
        vm.warp(block.timestamp + (time % 4 == 0 ? time % 400 : time % 20));
    }

    function open(uint256 p, uint256 amounts, uint8 kind, uint8 walk) external {
        IRetrieval.Terms memory t;
        t.modelId = modelId;
        t.datasetRoot = keccak256(abi.encode(keccak256(abi.encode(0, VALID, keccak256(_shardPoints)))));
        t.token = kind & 1 == 0 ? address(0) : address(token);
        (t.shards, t.samples, t.maxItems) = (1, VALID, uint32(amounts) % 8);
        (t.pricePerItem, t.scanFee) = (uint32(amounts >> 32) % 1000, uint32(amounts >> 64) % 1000);
        (t.requesterBond, t.contestFee) = (uint32(amounts >> 96) % 1000, uint32(amounts >> 128) % 1000);
        t.bond = t.maxItems * t.pricePerItem + t.requesterBond + uint32(amounts >> 160) % 1000;
        // Now and then too little.
        if (kind >= 240 && t.bond > 0) t.bond -= uint128(_bound(amounts >> 200, 0, t.bond));
        uint48 now_ = uint48(block.timestamp);
        (t.acceptBy, t.claimBy, t.window, t.proveTime, t.receiptTime) = (now_ + 100, now_ + 300, 200, 100, 50);
        uint256 value = uint256(t.maxItems) * t.pricePerItem + t.scanFee + t.requesterBond;
        bytes32 id = retrieval.requestIdOf(person(p), requests.length, t);
        bytes memory call_ = abi.encodeCall(retrieval.open, (t, requests.length));
        if (!_call(person(p), id, t.token == address(0) ? value : 0, call_)) return;
        requests.push(id);
        if (walk % 8 > 0) accept(0, 0);
        if (walk % 8 > 1) claim(0, 0, walk >> 3);
        if (walk % 8 > 4) contest(p, 0);
    }

    function accept(uint256 p, uint256 i) public {
        if (requests.length == 0) return;
        IRetrieval.Request memory r = retrieval.request(_pick(i));
        uint256 value = r.terms.token == address(0) ? r.terms.bond : 0;
        _call(person(p), _pick(i), value, abi.encodeCall(retrieval.accept, _pick(i)));
    }

    /// @dev True where `right` is at most the items there are.
    function claim(uint256 p, uint256 i, uint32 right) public {
        if (requests.length == 0) return;
        right %= VALID + 2;
        SumTree.Node memory top = _leaf(_pick(i), right);
        bytes memory call_ = abi.encodeCall(retrieval.claim, (_pick(i), top.hash, right, right, bytes32(i)));
        _call(person(p), _pick(i), 0, call_);
    }

    function approve(uint256 p, uint256 i) external {
        if (requests.length == 0) return;
        _call(person(p), _pick(i), 0, abi.encodeCall(retrieval.approve, (_pick(i), "")));
    }

    function cancel(uint256 p, uint256 i) external {
        if (requests.length == 0) return;
        _call(person(p), _pick(i), 0, abi.encodeCall(retrieval.cancel, _pick(i)));
    }

    function contest(uint256 p, uint256 i) public {
        if (requests.length == 0) return;
        IRetrieval.Request memory r = retrieval.request(_pick(i));
        uint256 value = r.terms.token == address(0) ? r.terms.contestFee : 0;
        _call(person(p), _pick(i), value, abi.encodeCall(retrieval.contest, (_pick(i), 0)));
    }

    function answer(uint256 p, uint256 i, uint32 right) external {
        if (requests.length == 0) return;
        // Mostly what was claimed.
        uint32 shown = right % 4 == 0 ? right % (VALID + 1) : retrieval.request(_pick(i)).matches;
        if (shown > VALID) return;
        bytes memory proof = bytes.concat(_proof(_pick(i), shown));
        IShards.ShardProof memory p_ = IShards.ShardProof(
            IShards.Shard(0, VALID, shown, shown), _modelPoints, _shardPoints, new bytes32[](0), proof
        );
        bytes memory call_ = abi.encodeCall(retrieval.answer, (_pick(i), p_, new SumTree.Node[](0)));
        _call(person(p), _pick(i), 0, call_);
    }

    function reject(uint256 p, uint256 i) external {
        if (requests.length == 0) return;
        _call(person(p), _pick(i), 0, abi.encodeCall(retrieval.reject, _pick(i)));
    }

    function expire(uint256 p, uint256 i) external {
        if (requests.length == 0) return;
        _call(person(p), _pick(i), 0, abi.encodeCall(retrieval.expire, _pick(i)));
    }

    function withdraw(uint256 p, bool ether_) external {
        address money = ether_ ? address(0) : address(token);
        uint256 credit = retrieval.credit(person(p), money);
        vm.prank(person(p));
        (bool ok,) = address(retrieval).call(abi.encodeCall(retrieval.withdraw, money));
        _isTrue(ok == (credit != 0), "withdrawn what is credited");
        if (ok) withdrawn[person(p)][money] += credit;
    }

    // ---- the book

    function _call(address who, bytes32 id, uint256 value, bytes memory call_) private returns (bool ok) {
        IRetrieval.Request memory before = retrieval.request(id);
        vm.prank(who);
        (ok,) = address(retrieval).call{value: value}(call_);
        IRetrieval.Request memory r = retrieval.request(id);
        if (!ok) {
            _eq(keccak256(abi.encode(r)), keccak256(abi.encode(before)), "a refused call changes nothing");
            return false;
        }
        // Nothing comes after an end.
        _isTrue(before.state < IRetrieval.State.Cancelled, "terminal states absorb");
        if (r.state != before.state) ++entered[uint256(r.state)];
        if (before.contests > r.contests && r.state <= IRetrieval.State.Contested) {
            earned[r.responder][r.terms.token] += r.terms.contestFee;
        }
        if (r.state >= IRetrieval.State.Cancelled) {
            ended[id] = keccak256(abi.encode(r));
            _book(before, r);
        }
    }

    /// @dev What each end is worth, written down a second time.
    function _book(IRetrieval.Request memory before, IRetrieval.Request memory r) private {
        IRetrieval.Terms memory t = r.terms;
        uint256 items = r.matches < t.maxItems ? r.matches : t.maxItems;
        uint256 due = items * t.pricePerItem;
        uint256 rest = (t.maxItems - items) * t.pricePerItem;
        if (r.state == IRetrieval.State.Settled) {
            earned[r.requester][t.token] += rest + t.requesterBond;
            earned[r.responder][t.token] += due + t.scanFee + t.bond;
        } else if (r.state == IRetrieval.State.Rejected) {
            earned[r.requester][t.token] += rest;
            earned[r.responder][t.token] += t.scanFee + t.bond - due - t.requesterBond;
            earned[address(0xdEaD)][t.token] += 2 * (due + t.requesterBond);
        } else {
            uint256 back = due + rest + t.scanFee + t.requesterBond;
            if (r.state == IRetrieval.State.Slashed) back += t.bond + uint256(before.contests) * t.contestFee;
            earned[r.requester][t.token] += back;
        }
    }

    function _pick(uint256 i) private view returns (bytes32) {
        // Mostly one of the last few, so that stories go on.
        uint256 window = i % 4 == 3 || requests.length < 4 ? requests.length : 4;
        return requests[requests.length - 1 - (i / 4) % window];
    }

    function _proof(bytes32 id, uint32 right) private view returns (bytes32) {
        address payee = retrieval.request(id).responder;
        uint256 context = uint256(keccak256(abi.encode(block.chainid, address(retrieval), id, 0, payee))) % R;
        bytes memory scalars = abi.encode(VALID, right, right, context);
        return keccak256(bytes.concat(_modelPoints, _shardPoints, scalars));
    }

    function _leaf(bytes32 id, uint32 right) private view returns (SumTree.Node memory) {
        return SumTree.leaf(0, VALID, right, right, keccak256(bytes.concat(_proof(id, right))));
    }
}
