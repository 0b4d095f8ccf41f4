// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {Crowd} from "./Crowd.sol";
import {Shim} from "./Shim.sol";

/// @title Whatever the crowd does, the money is where the rules put it.
contract InvariantsTest is Shim {
    Crowd private _crowd;

    function setUp() public {
        _crowd = new Crowd();
        _crowd.register(0, 10);
        _crowd.register(1, 20);
        _crowd.pass(1);
        _target(address(_crowd));
    }

    /// @dev One campaign for all of them. What could come and go between two looks is looked at in the crowd's own calls.
    function invariant_theMoneyIsWhereTheRulesPutIt() public view {
        _everybodyOwnsWhatTheRulesGave();
        _fundsAreConserved();
        _lockedIsTheLiveDeposits();
        _terminalStatesAbsorb();
    }

    /// @dev Wallets and credits are what the book says: nobody but the rules moved money.
    function _everybodyOwnsWhatTheRulesGave() private view {
        for (uint256 p = 0; p < _crowd.PEOPLE(); ++p) {
            address who = _crowd.person(p);
            _eq(who.balance, _crowd.wallet(who, address(0)), "ether in the wallet");
            _eq(_crowd.token().balanceOf(who), _crowd.wallet(who, address(_crowd.token())), "tokens in the wallet");
            for (uint256 k = 0; k < 2; ++k) {
                address money = _money(k);
                _eq(_crowd.escrow().credit(who, money), _crowd.credit(who, money), "credit");
            }
        }
    }

    /// @dev held = locked + credits = balance, but for what was given away.
    function _fundsAreConserved() private view {
        for (uint256 k = 0; k < 2; ++k) {
            address money = _money(k);
            address escrow = address(_crowd.escrow());
            uint256 owed = _crowd.locked(money);
            for (uint256 p = 0; p < _crowd.PEOPLE(); ++p) {
                owed += _crowd.escrow().credit(_crowd.person(p), money);
            }
            uint256 burnt = _crowd.escrow().credit(address(0xdEaD), money);
            _eq(burnt, _crowd.credit(address(0xdEaD), money), "burnt");
            owed += burnt;
            uint256 balance = money == address(0) ? escrow.balance : _crowd.token().balanceOf(escrow);
            _eq(_crowd.escrow().held(money), owed, "held");
            _eq(balance, owed + _crowd.given(money), "balance");
        }
        _eq(address(_crowd.registry()).balance, _crowd.stakes(), "stakes");
    }

    /// @dev What is locked is the deposits of the agreements still alive, one by one.
    function _lockedIsTheLiveDeposits() private view {
        uint256[2] memory live;
        for (uint256 i = 0; i < _crowd.numberOfAgreements(); ++i) {
            IAgreement.Agreement memory a = _crowd.escrow().agreement(_crowd.agreements(i));
            uint256 k = a.terms.token == address(0) ? 0 : 1;
            if (a.state >= IAgreement.State.Cancelled) continue;
            live[k] += uint256(a.terms.price) + a.terms.buyerBond + uint256(a.terms.contestFee) * a.contests;
            if (a.state > IAgreement.State.Open) live[k] += a.terms.bond;
        }
        for (uint256 k = 0; k < 2; ++k) {
            _eq(_crowd.locked(_money(k)), live[k], "locked");
        }
    }

    /// @dev An agreement that ended never changes again, in any field.
    function _terminalStatesAbsorb() private view {
        for (uint256 i = 0; i < _crowd.numberOfAgreements(); ++i) {
            bytes32 id = _crowd.agreements(i);
            if (_crowd.ended(id) == 0) continue;
            _eq(keccak256(abi.encode(_crowd.escrow().agreement(id))), _crowd.ended(id), "agreement");
        }
    }

    /// @dev The crowd is not idle: a fixed walk goes through every state, and all of the above holds at its end.
    function test_theCrowdReachesEveryState() public {
        for (uint256 n = 0; n < 6000; ++n) {
            uint256 dice = uint256(keccak256(abi.encode("walk", n)));
            _turn(dice % 24, dice >> 8);
        }
        for (uint256 s = 1; s < 16; ++s) {
            _isTrue(_crowd.entered(s) >= 5, string.concat("state reached ", vm.toString(s)));
        }
        _isTrue(_crowd.calls() > 1200, "calls");
        invariant_theMoneyIsWhereTheRulesPutIt();
    }

    function _turn(uint256 what, uint256 dice) private {
        (uint256 p, uint256 i, uint8 flaw) = (dice % 4, (dice >> 8) % 64, uint8(dice >> 16));
        if (what <= 1) _crowd.pass(uint16(dice >> 24));
        else if (what == 2) _crowd.register(p, uint64(dice));
        else if (what == 3) _crowd.retire(dice % 64, i);
        else if (what == 4) _crowd.withdrawStake(p, i, dice >> 24 & 31 == 0);
        else if (what == 5) _crowd.cancel(p, i, flaw);
        else if (what == 6) _crowd.accept(p, i, flaw);
        else if (what == 7) _crowd.draw(p, i);
        else if (what == 8) _crowd.send(p, i, flaw);
        else if (what == 9) _crowd.proceed(p, i, flaw);
        else if (what == 10) _crowd.acknowledge(p, i, flaw);
        else if (what == 11) _crowd.acknowledgeBySignature(p, i, dice >> 24);
        else if (what == 12) _crowd.decline(p, i, flaw);
        else _turnLater(what, dice, p, i, flaw);
    }

    function _turnLater(uint256 what, uint256 dice, uint256 p, uint256 i, uint8 flaw) private {
        if (what == 13) _crowd.deny(p, i, flaw);
        else if (what == 14) _crowd.claim(p, i, uint32(dice >> 24), flaw);
        else if (what == 15) _crowd.approve(p, i, dice >> 24);
        else if (what == 16) _crowd.contest(p, i, uint32(dice >> 24), flaw);
        else if (what == 17) _crowd.answer(p, i, uint32(dice >> 24), flaw);
        else if (what <= 19) _crowd.proveShard(p, i, uint32(dice >> 24), uint32(dice >> 32), flaw);
        else if (what == 20) _crowd.expire(p, i);
        else if (what == 21) _crowd.withdraw(p, flaw % 2 == 0);
        else _crowd.open(p, i, dice >> 24, uint16(dice >> 216), uint8(dice >> 232), dice >> 240);
    }

    function _money(uint256 k) private view returns (address) {
        return k == 0 ? address(0) : address(_crowd.token());
    }
}
