// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILedger} from "../src/ILedger.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {Shim} from "./Shim.sol";

/// @title A registry, one registered model, three people with money, and a contract that keeps it for them.
abstract contract World is Shim {
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    uint256 internal constant SELLER_KEY = 0x5eed;
    uint256 internal constant BUYER_KEY = 0xb0b;
    uint256 internal constant WEALTH = 1_000_000;
    uint256 internal constant T0 = 1000;
    uint256 internal constant B0 = 10;
    bytes32 internal constant ARCHITECTURE = keccak256("architecture");

    ModelRegistry internal registry;
    TestToken internal token;
    address internal verifier;
    address internal buyer;
    address internal stranger = address(0x57A6);
    address internal seller;
    bytes internal modelPoints = abi.encode(11, 12, 13, 14, 15, 16);
    bytes32 internal modelId;

    function setUp() public virtual {
        vm.warp(T0 - 100);
        vm.roll(B0);
        seller = vm.addr(SELLER_KEY);
        buyer = vm.addr(BUYER_KEY);
        registry = new ModelRegistry();
        address keeper = _deploy();
        token = new TestToken();
        verifier = address(new DigestVerifier());
        for (uint256 i = 0; i < 3; ++i) {
            address who = _people()[i];
            vm.deal(who, WEALTH);
            token.mint(who, WEALTH);
            vm.prank(who);
            token.approve(keeper, type(uint256).max);
        }
        modelId = _register(1);
        vm.deal(seller, WEALTH);
        vm.warp(T0);
        vm.roll(B0 + 1);
    }

    /// @dev Makes a contract over the registry; the people let it take their tokens.
    function _deploy() internal virtual returns (address);

    /// @dev The contract that is looked at.
    function _contract() internal view virtual returns (address);

    /// @dev The first party, the second, and neither.
    function _people() internal view returns (address[3] memory) {
        return [buyer, seller, stranger];
    }

    function _register(uint256 stake) internal returns (bytes32) {
        vm.deal(seller, seller.balance + stake);
        vm.prank(seller);
        return registry.register{value: stake}(ARCHITECTURE, verifier, modelPoints, 2, "http://127.0.0.1:1");
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev What a proof for `_contract` is bound to.
    function _context(bytes32 id, uint256 index) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(block.chainid, _contract(), id, index, seller))) % R;
    }

    function _balance(address money, address who) internal view returns (uint256) {
        return money == address(0) ? who.balance : TestToken(money).balanceOf(who);
    }

    /// @dev Credits of both parties and what `_contract` holds.
    function _owes(address money, uint256 toBuyer, uint256 toSeller, uint256 holds) internal view {
        ILedger ledger = ILedger(_contract());
        _eq(ledger.credit(buyer, money), toBuyer, "credit of the buyer");
        _eq(ledger.credit(seller, money), toSeller, "credit of the seller");
        _eq(ledger.held(money), holds, "held");
        _eq(_balance(money, address(ledger)), holds, "balance");
    }
}
