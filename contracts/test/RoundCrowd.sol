// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Predictions} from "../src/Predictions.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {Shim} from "./Shim.sol";

/// @title A seller and three others who do anything at any time, in two moneys; what is refused changes nothing.
contract RoundCrowd is Shim {
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 private constant WEALTH = 1e30;

    Predictions public rounds;
    TestToken public token;
    bytes32[] public ids;
    /// What a round was when it ended.
    mapping(bytes32 id => bytes32) public ended;
    /// How often a call led to this state.
    mapping(uint256 state => uint256) public entered;
    /// What all have together, in each money.
    mapping(address money => uint256) public wealth;
    address[4] private _people;
    bytes32 private _model;
    uint256 private _now = 1000;

    constructor() {
        vm.warp(_now);
        vm.roll(10);
        ModelRegistry registry = new ModelRegistry();
        rounds = new Predictions(registry);
        token = new TestToken();
        for (uint256 p = 0; p < 4; ++p) {
            _people[p] = vm.addr(_key(p));
            vm.deal(person(p), WEALTH);
            token.mint(person(p), WEALTH);
            vm.prank(person(p));
            token.approve(address(rounds), type(uint256).max);
        }
        address verifier = address(new DigestVerifier());
        vm.prank(person(0));
        _model = registry.register{value: 1}(0, verifier, abi.encode(1, 2), 1, "");
        vm.deal(person(0), WEALTH);
        (wealth[address(0)], wealth[address(token)]) = (4 * WEALTH, 4 * WEALTH);
        vm.roll(11);
    }

    /// @dev The seller is person 0.
    function person(uint256 p) public view returns (address) {
        return _people[p];
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    function pass(uint16 time) external {
        _now += time % 300 + 1;
        vm.warp(_now);
    }

    function open(uint256 p, uint256 dice) external {
        vm.warp(_now);
        bool ether_ = dice % 2 == 0;
        IPredictions.Terms memory terms = IPredictions.Terms({
            modelId: _model,
            token: ether_ ? address(0) : address(token),
            batches: uint32(dice >> 8) % 5 + 1,
            price: uint128(dice >> 16) % 1000,
            bond: uint128(dice >> 32) % 1000,
            contestFee: uint128(dice >> 48) % 100,
            acceptBy: uint48(_now + 1 + (dice >> 64) % 300),
            serveBy: uint48(_now + 302 + (dice >> 72) % 300),
            window: uint32(dice >> 80) % 400 + 1,
            proveTime: uint32(dice >> 96) % 400 + 1
        });
        vm.prank(person(p % 4));
        ids.push(rounds.open{value: ether_ ? uint256(terms.batches) * terms.price : 0}(ids.length, terms));
        ++entered[1];
    }

    /// @dev Somebody sends something about some round; mostly what its state asks for, by who may.
    function act(uint256 p, uint256 i, uint256 dice) external {
        vm.warp(_now);
        if (ids.length == 0) return;
        bytes32 id = ids[i % ids.length];
        IPredictions.Round memory r = rounds.round(id);
        uint256 state = uint256(r.state);
        uint256 what = dice % 3 == 0 ? (dice >> 8) % 7 : _asked(state, dice >> 8);
        address who = dice % 5 == 0 ? person(p % 4) : (what == 0 || what == 4 ? r.buyer : r.seller);
        (uint256 value, bytes memory call) = _call(what, id, r, dice >> 32);
        vm.prank(who);
        (bool done,) = address(rounds).call{value: value}(call);
        if (!done) return;
        r = rounds.round(id);
        if (uint256(r.state) != state) ++entered[uint256(r.state)];
        if (r.state >= IPredictions.State.Cancelled && ended[id] == 0) ended[id] = keccak256(abi.encode(r));
    }

    function withdraw(uint256 p, bool ether_) external {
        address money = ether_ ? address(0) : address(token);
        if (rounds.credit(person(p % 4), money) == 0) return;
        vm.prank(person(p % 4));
        rounds.withdraw(money);
    }

    /// @dev 0 cancel, 1 accept, 2 close, 3 approve, 4 contest, 5 answer, 6 expire.
    function _asked(uint256 state, uint256 dice) private pure returns (uint256) {
        if (state == 1) return dice % 8 == 0 ? 0 : 1;
        if (state == 2) return [uint256(2), 3, 6][dice % 3];
        if (state == 3) return [uint256(3), 4, 4, 6][dice % 4];
        if (state == 4) return [uint256(4), 5, 5, 6][dice % 4];
        return 6;
    }

    function _call(uint256 what, bytes32 id, IPredictions.Round memory r, uint256 dice)
        private
        view
        returns (uint256 value, bytes memory call)
    {
        uint32 number = uint32(dice % (r.terms.batches + 1));
        bool ether_ = r.terms.token == address(0);
        if (what == 0) return (0, abi.encodeCall(rounds.cancel, (id)));
        if (what == 1) return (ether_ ? r.terms.bond : 0, abi.encodeCall(rounds.accept, (id)));
        if (what == 2) {
            return (0, abi.encodeCall(rounds.close, (id, number, _sign(r.buyer, rounds.voucherDigest(id, number)))));
        }
        if (what == 3) {
            if (r.state == IPredictions.State.Closed && dice % 4 != 0) number = r.count;
            return (0, abi.encodeCall(rounds.approve, (id, number, _sign(r.buyer, rounds.approvalDigest(id, number)))));
        }
        bytes memory points = abi.encode(number, dice >> 8 & 1);
        if (what == 4) {
            IPredictions.Prediction memory p = IPredictions.Prediction(number, 1, keccak256(points));
            bytes memory signature = _sign(r.seller, rounds.predictionDigest(id, p));
            return (ether_ ? r.terms.contestFee : 0, abi.encodeCall(rounds.contest, (id, p, signature)));
        }
        if (what == 5) return (0, abi.encodeCall(rounds.answer, (id, _proof(id, r, number, points))));
        return (0, abi.encodeCall(rounds.expire, (id)));
    }

    function _proof(bytes32 id, IPredictions.Round memory r, uint32 number, bytes memory points)
        private
        view
        returns (IPredictions.PredictionProof memory)
    {
        uint256 context = uint256(keccak256(abi.encode(block.chainid, address(rounds), id, number, r.seller))) % R;
        bytes memory model = abi.encode(1, 2);
        bytes memory statement = bytes.concat(model, points, abi.encode(1, 1, 1, context));
        return IPredictions.PredictionProof(number, 1, model, points, abi.encode(keccak256(statement)));
    }

    function _sign(address who, bytes32 digest) private view returns (bytes memory) {
        uint256 p = 0;
        while (p < 3 && person(p) != who) ++p;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(p), digest);
        return abi.encodePacked(r, s, v);
    }

    function _key(uint256 p) private pure returns (uint256) {
        return 0xacc0 + p;
    }
}
