// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Predictions} from "../src/Predictions.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {Shim} from "./Shim.sol";

/// @title A registry, a predictions contract, one registered model, three people with money.
/// @dev Statement and context are rebuilt here from their definitions, not through the contracts.
abstract contract RoundScene is Shim {
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 internal constant SELLER_KEY = 0x5eed;
    uint256 internal constant BUYER_KEY = 0xb0b;
    uint256 internal constant WEALTH = 1_000_000;
    uint256 internal constant T0 = 1000;
    uint256 internal constant B0 = 10;

    ModelRegistry internal registry;
    Predictions internal rounds;
    TestToken internal token;
    address internal verifier;
    address internal buyer;
    address internal stranger = address(0x57A6);
    address internal seller;
    bytes internal modelPoints = abi.encode(11, 12, 13, 14, 15, 16);
    bytes32 internal modelId;
    uint256 internal nonces;

    function setUp() public virtual {
        vm.warp(T0 - 100);
        vm.roll(B0);
        seller = vm.addr(SELLER_KEY);
        buyer = vm.addr(BUYER_KEY);
        registry = new ModelRegistry();
        rounds = new Predictions(registry);
        token = new TestToken();
        verifier = address(new DigestVerifier());
        for (uint256 i = 0; i < 3; ++i) {
            address who = [buyer, seller, stranger][i];
            vm.deal(who, WEALTH);
            token.mint(who, WEALTH);
            vm.prank(who);
            token.approve(address(rounds), type(uint256).max);
        }
        modelId = _register();
        vm.deal(seller, WEALTH);
        vm.warp(T0);
        vm.roll(B0 + 1);
    }

    // ---- the road, step by step

    function _register() internal returns (bytes32) {
        vm.deal(seller, seller.balance + 1);
        vm.prank(seller);
        return registry.register{value: 1}(keccak256("architecture"), verifier, modelPoints, 2, "");
    }

    function _terms(address money) internal view returns (IPredictions.Terms memory) {
        return IPredictions.Terms({
            modelId: modelId,
            token: money,
            batches: 10,
            price: 100,
            bond: 5000,
            contestFee: 40,
            acceptBy: 2000,
            serveBy: 3000,
            window: 500,
            proveTime: 300
        });
    }

    function _open(IPredictions.Terms memory terms) internal returns (bytes32) {
        vm.prank(buyer);
        return rounds.open{value: terms.token == address(0) ? uint256(terms.batches) * terms.price : 0}(++nonces, terms);
    }

    function _serving(IPredictions.Terms memory terms) internal returns (bytes32 id) {
        id = _open(terms);
        vm.prank(seller);
        rounds.accept{value: terms.token == address(0) ? terms.bond : 0}(id);
    }

    function _closed(IPredictions.Terms memory terms, uint32 count) internal returns (bytes32 id) {
        id = _serving(terms);
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, count));
        vm.prank(seller);
        rounds.close(id, count, voucher);
    }

    /// @dev Batch `index` of 3 inputs, whose outputs are as `salt` says.
    function _prediction(uint32 index, uint256 salt) internal pure returns (IPredictions.Prediction memory) {
        return IPredictions.Prediction(index, 3, keccak256(_shardPoints(index, salt)));
    }

    function _contest(bytes32 id, uint32 index, uint256 salt) internal {
        IPredictions.Terms memory terms = rounds.round(id).terms;
        IPredictions.Prediction memory p = _prediction(index, salt);
        bytes memory signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
        uint256 value = terms.token == address(0) ? terms.contestFee : 0;
        vm.prank(buyer);
        rounds.contest{value: value}(id, p, signature);
    }

    function _answer(bytes32 id, uint32 index, uint256 salt) internal {
        rounds.answer(id, _proven(id, index, salt));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    // ---- the definitions

    function _shardPoints(uint256 index, uint256 salt) internal pure returns (bytes memory) {
        return abi.encode(1000 + index, 2000 + index, 3000 + salt, 4000 + salt);
    }

    function _context(bytes32 id, uint256 index) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(rounds), id, index, seller))) % R;
    }

    /// @dev What the digest verifier accepts: all three inputs get the output that is committed.
    function _proven(bytes32 id, uint32 index, uint256 salt)
        internal
        view
        returns (IPredictions.PredictionProof memory)
    {
        bytes memory points = _shardPoints(index, salt);
        bytes memory statement = bytes.concat(modelPoints, points, abi.encode(3, 3, 3, _context(id, index)));
        return IPredictions.PredictionProof(index, 3, modelPoints, points, abi.encode(keccak256(statement)));
    }

    // ---- what is looked at

    function _is(bytes32 id, IPredictions.State expected) internal view {
        _eq(uint256(rounds.round(id).state), uint256(expected), "state");
    }

    /// @dev Credits of both parties and what the contract holds.
    function _owes(address money, uint256 toBuyer, uint256 toSeller, uint256 holds) internal view {
        _eq(rounds.credit(buyer, money), toBuyer, "credit of the buyer");
        _eq(rounds.credit(seller, money), toSeller, "credit of the seller");
        _eq(rounds.held(money), holds, "held");
        _eq(money == address(0) ? address(rounds).balance : token.balanceOf(address(rounds)), holds, "balance");
    }
}
