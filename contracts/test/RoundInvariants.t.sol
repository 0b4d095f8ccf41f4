// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {RoundCrowd} from "./RoundCrowd.sol";
import {Shim} from "./Shim.sol";

/// @title Whatever the crowd does with rounds, the money is where the rules put it.
contract RoundInvariantsTest is Shim {
    RoundCrowd private _crowd;

    function setUp() public {
        _crowd = new RoundCrowd();
        _target(address(_crowd));
    }

    /// @dev held = deposits of live rounds + credits = balance, nothing was made or lost, and an end is an end.
    function invariant_theMoneyIsWhereTheRulesPutIt() public view {
        for (uint256 k = 0; k < 2; ++k) {
            address money = k == 0 ? address(0) : address(_crowd.token());
            address rounds = address(_crowd.rounds());
            (uint256 owed, uint256 wallets) = (_live(money), 0);
            for (uint256 p = 0; p < 4; ++p) {
                owed += _crowd.rounds().credit(_crowd.person(p), money);
                wallets += _balance(money, _crowd.person(p));
            }
            _eq(_crowd.rounds().held(money), owed, "held");
            _eq(_balance(money, rounds), owed, "balance");
            _eq(wallets + owed, _crowd.wealth(money), "wealth");
        }
        for (uint256 i = 0; i < _crowd.count(); ++i) {
            bytes32 id = _crowd.ids(i);
            if (_crowd.ended(id) == 0) continue;
            _eq(keccak256(abi.encode(_crowd.rounds().round(id))), _crowd.ended(id), "a round that ended");
        }
    }

    function _live(address money) private view returns (uint256 locked) {
        for (uint256 i = 0; i < _crowd.count(); ++i) {
            IPredictions.Round memory r = _crowd.rounds().round(_crowd.ids(i));
            if (r.terms.token != money || r.state >= IPredictions.State.Cancelled) continue;
            locked += uint256(r.terms.price) * r.terms.batches + uint256(r.terms.contestFee) * r.contests;
            if (r.state > IPredictions.State.Open) locked += r.terms.bond;
        }
    }

    function _balance(address money, address who) private view returns (uint256) {
        return money == address(0) ? who.balance : _crowd.token().balanceOf(who);
    }

    /// @dev The crowd is not idle: a fixed walk goes through every state, and all of the above holds at its end.
    function test_theCrowdReachesEveryState() public {
        for (uint256 n = 0; n < 3000; ++n) {
            uint256 dice = uint256(keccak256(abi.encode("walk", n)));
            if (dice % 12 == 0) _crowd.open(dice >> 8, dice >> 16);
            else if (dice % 12 == 1) _crowd.pass(uint16(dice >> 8));
            else if (dice % 12 == 2) _crowd.withdraw(dice >> 8, dice >> 16 & 1 == 0);
            else _crowd.act(dice >> 8, dice >> 16, dice >> 32);
        }
        for (uint256 s = 1; s < 8; ++s) {
            _isTrue(_crowd.entered(s) >= 5, string.concat("state reached ", vm.toString(s)));
        }
        invariant_theMoneyIsWhereTheRulesPutIt();
    }
}
