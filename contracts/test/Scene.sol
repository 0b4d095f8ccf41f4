// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {IEscrow} from "../src/IEscrow.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {Shim} from "./Shim.sol";

/// @title A registry, an escrow, one registered model, one dataset of three shards, three people with money.
/// @dev Statement, context and tree are rebuilt here from their definitions, not through the contracts.
abstract contract Scene is Shim {
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 internal constant SELLER_KEY = 0x5eed;
    uint256 internal constant WEALTH = 1_000_000;
    uint256 internal constant T0 = 1000;
    uint256 internal constant B0 = 10;
    bytes32 internal constant CIPHERTEXT = keccak256("ciphertext");
    bytes32 internal constant ARCHITECTURE = keccak256("architecture");

    ModelRegistry internal registry;
    Escrow internal escrow;
    TestToken internal token;
    address internal verifier;
    address internal buyer = address(0xB0B);
    address internal stranger = address(0x57A6);
    address internal seller;
    bytes internal modelPoints = abi.encode(11, 12, 13, 14, 15, 16);
    bytes32 internal modelId;
    /// Valid samples per shard.
    uint32[] internal dataset = [4, 4, 2];

    function setUp() public virtual {
        vm.warp(T0 - 100);
        vm.roll(B0);
        seller = vm.addr(SELLER_KEY);
        registry = new ModelRegistry();
        escrow = new Escrow(registry);
        token = new TestToken();
        verifier = address(new DigestVerifier());
        for (uint256 i = 0; i < 3; ++i) {
            address who = [buyer, seller, stranger][i];
            vm.deal(who, WEALTH);
            token.mint(who, WEALTH);
            vm.prank(who);
            token.approve(address(escrow), type(uint256).max);
        }
        modelId = _register(1);
        vm.deal(seller, WEALTH);
        vm.warp(T0);
        vm.roll(B0 + 1);
    }

    // ---- the road, step by step

    function _register(uint256 stake) internal returns (bytes32) {
        vm.deal(seller, seller.balance + stake);
        vm.prank(seller);
        return registry.register{value: stake}(ARCHITECTURE, verifier, modelPoints, "http://127.0.0.1:1");
    }

    function _terms(address money) internal view returns (IEscrow.Terms memory) {
        return IEscrow.Terms({
            modelId: modelId,
            datasetRoot: _root(),
            token: money,
            shards: uint32(dataset.length),
            samples: 10,
            threshold: 8,
            price: 1000,
            bond: 500,
            penalty: 200,
            acceptBy: 2000,
            deliverBy: 3000,
            proveBy: 4000,
            metric: IEscrow.Metric.Top1
        });
    }

    function _open(IEscrow.Terms memory terms) internal returns (bytes32) {
        vm.prank(buyer);
        return escrow.open{value: terms.token == address(0) ? terms.price : 0}(terms);
    }

    function _accepted(IEscrow.Terms memory terms) internal returns (bytes32 id) {
        id = _open(terms);
        vm.prank(seller);
        escrow.accept{value: terms.token == address(0) ? terms.bond : 0}(id);
    }

    function _delivered(IEscrow.Terms memory terms) internal returns (bytes32 id) {
        id = _accepted(terms);
        vm.prank(seller);
        escrow.acknowledge(id, CIPHERTEXT);
    }

    /// @dev An honest call of proveShard: shard, siblings and proof as the definitions say.
    function _prove(bytes32 id, uint32 index, uint32 top1, uint32 topk) internal {
        _prove(id, IEscrow.Shard(index, dataset[index], top1, topk));
    }

    function _prove(bytes32 id, IEscrow.Shard memory shard) internal {
        bytes memory proof = _proof(id, shard);
        escrow.proveShard(id, shard, modelPoints, _shardPoints(shard.index), _siblings(shard.index), proof);
    }

    /// @dev Proves every shard fully right, up to `missing` answers of the first.
    function _proveAll(bytes32 id, uint32 missing) internal {
        for (uint32 i = 0; i < dataset.length; ++i) {
            uint32 right = i == 0 ? dataset[0] - missing : dataset[i];
            _prove(id, i, right, right);
        }
    }

    // ---- the definitions

    function _shardPoints(uint256 index) internal pure returns (bytes memory) {
        return abi.encode(1000 + index, 2000 + index, 3000 + index, 4000 + index);
    }

    function _context(bytes32 id, uint256 index) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, address(escrow), id, index, seller))) % R;
    }

    function _statement(bytes32 id, IEscrow.Shard memory s) internal view returns (bytes memory) {
        bytes memory points = bytes.concat(modelPoints, _shardPoints(s.index));
        return bytes.concat(points, abi.encode(s.valid, s.top1, s.topk, _context(id, s.index)));
    }

    /// @dev What the digest verifier accepts for this statement.
    function _proof(bytes32 id, IEscrow.Shard memory s) internal view returns (bytes memory) {
        return abi.encode(keccak256(_statement(id, s)));
    }

    function _leaf(uint256 index) internal view returns (bytes32) {
        bytes32 inner = keccak256(abi.encode(index, uint256(dataset[index]), keccak256(_shardPoints(index))));
        return keccak256(abi.encode(inner));
    }

    /// @dev Hash of the subtree of height `height` whose leftmost leaf is `first`.
    function _node(uint256 first, uint256 height) internal view returns (bytes32) {
        if (height == 0) return first < dataset.length ? _leaf(first) : bytes32(0);
        return keccak256(abi.encode(_node(first, height - 1), _node(first + (1 << (height - 1)), height - 1)));
    }

    function _height() internal view returns (uint256 height) {
        while (1 << height < dataset.length) ++height;
    }

    function _root() internal view returns (bytes32) {
        return _node(0, _height());
    }

    function _siblings(uint256 index) internal view returns (bytes32[] memory siblings) {
        siblings = new bytes32[](_height());
        for (uint256 h = 0; h < siblings.length; ++h) {
            siblings[h] = _node(((index >> h) ^ 1) << h, h);
        }
    }

    // ---- what is looked at

    function _is(bytes32 id, IEscrow.State expected) internal view {
        _eq(uint256(escrow.agreement(id).state), uint256(expected), "state");
    }

    /// @dev Credits of both parties and what the escrow holds.
    function _owes(address money, uint256 toBuyer, uint256 toSeller, uint256 holds) internal view {
        _eq(escrow.credit(buyer, money), toBuyer, "credit of the buyer");
        _eq(escrow.credit(seller, money), toSeller, "credit of the seller");
        _eq(escrow.held(money), holds, "held");
        _eq(money == address(0) ? address(escrow).balance : token.balanceOf(address(escrow)), holds, "balance");
    }
}
