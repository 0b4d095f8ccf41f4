// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Escrow} from "../src/Escrow.sol";
import {IAgreement} from "../src/IAgreement.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {TestToken} from "./mocks/Tokens.sol";
import {Shim} from "./Shim.sol";

/// @title A bookkeeper who believes only the rules.
/// @dev The book follows the states before and after a call and the terms, never the credits: what a transition is
/// worth is written down here a second time.
abstract contract Book is Shim {
    ModelRegistry public immutable registry = new ModelRegistry();
    Escrow public immutable escrow = new Escrow(registry);
    TestToken public immutable token = new TestToken();

    /// What everybody must own: in the wallet, and as credit.
    mapping(address who => mapping(address money => uint256)) public wallet;
    mapping(address who => mapping(address money => uint256)) public credit;
    mapping(address money => uint256) public locked;
    /// keccak256 of an agreement when it ended.
    mapping(bytes32 id => bytes32) public ended;
    /// How often each state was entered; how many calls went through.
    uint256[16] public entered;
    uint256 public calls;

    /// @dev Makes the call and books the transition it caused.
    function _try(address who, bytes32 id, uint256 value, bytes memory call_) internal returns (bool success) {
        IAgreement.Agreement memory before = escrow.agreement(id);
        vm.prank(who);
        (success,) = address(escrow).call{value: value}(call_);
        if (!success) return false;
        ++calls;
        IAgreement.Agreement memory a = escrow.agreement(id);
        if (a.state != IAgreement.State.None) _book(who, id, before, a);
    }

    function _book(address who, bytes32 id, IAgreement.Agreement memory before, IAgreement.Agreement memory a) private {
        (address money, uint256 price, uint256 own) = (a.terms.token, a.terms.price, a.terms.buyerBond);
        (uint256 bond, uint256 fee) = (a.terms.bond, a.terms.previewFee);
        bool ends = a.state >= IAgreement.State.Cancelled;
        if (a.contests > before.contests) _lock(a.buyer, money, a.terms.contestFee);
        if (a.contests < before.contests && !ends) _pay(a.seller, money, a.terms.contestFee);
        if (a.state == before.state) return;
        ++entered[uint256(a.state)];
        if (a.state == IAgreement.State.Open) {
            _lock(who, money, price + own);
        } else if (before.state == IAgreement.State.Open && !ends) {
            _lock(who, money, bond);
        } else if (a.state == IAgreement.State.Cancelled) {
            _pay(a.buyer, money, price + own);
        } else if (a.state == IAgreement.State.Declined) {
            if (before.state == IAgreement.State.Accepted) fee = 0;
            _pay(a.buyer, money, price + own + fee);
            _pay(a.seller, money, bond - fee);
        } else if (a.state == IAgreement.State.Denied) {
            _pay(a.buyer, money, price);
            _pay(a.seller, money, bond - fee);
            _pay(address(0xdEaD), money, own + fee);
        } else if (a.state == IAgreement.State.Forfeited) {
            _pay(a.buyer, money, price);
            _pay(a.seller, money, bond + own);
        } else if (a.state == IAgreement.State.Slashed) {
            _pay(a.buyer, money, price + own + bond + before.contests * uint256(a.terms.contestFee));
        } else if (a.state == IAgreement.State.Settled) {
            uint256 toBuyer = a.correct < a.terms.threshold ? price + a.terms.penalty : 0;
            _pay(a.buyer, money, own + toBuyer);
            _pay(a.seller, money, price + bond - toBuyer);
        }
        if (ends) ended[id] = keccak256(abi.encode(a));
    }

    function _lock(address who, address money, uint256 amount) private {
        wallet[who][money] -= amount;
        locked[money] += amount;
    }

    function _pay(address who, address money, uint256 amount) private {
        locked[money] -= amount;
        credit[who][money] += amount;
    }
}
