// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {RetrievalCrowd} from "./RetrievalCrowd.sol";
import {Shim} from "./Shim.sol";

/// @title Whatever the crowd does to retrievals, the money is where the rules put it.
contract RetrievalInvariantsTest is Shim {
    RetrievalCrowd private _crowd;

    function setUp() public {
        _crowd = new RetrievalCrowd();
        _target(address(_crowd));
    }

    function invariant_theMoneyOfRetrievalsIsWhereTheRulesPutIt() public view {
        for (uint256 k = 0; k < 2; ++k) {
            address money = k == 0 ? address(0) : address(_crowd.token());
            uint256 owed = _credits(money) + _live(money);
            address contract_ = address(_crowd.retrieval());
            _eq(_crowd.retrieval().held(money), owed, "held");
            _eq(k == 0 ? contract_.balance : _crowd.token().balanceOf(contract_), owed, "balance");
        }
    }

    /// @dev Everybody's credit is what the book says it earned, less what it took.
    function _credits(address money) private view returns (uint256 sum) {
        for (uint256 p = 0; p <= _crowd.PEOPLE(); ++p) {
            address who = p == _crowd.PEOPLE() ? address(0xdEaD) : _crowd.person(p);
            uint256 credit = _crowd.retrieval().credit(who, money);
            _eq(credit + _crowd.withdrawn(who, money), _crowd.earned(who, money), "credit");
            sum += credit;
        }
    }

    /// @dev Deposits of the requests that live; those that ended never change again.
    function _live(address money) private view returns (uint256 sum) {
        for (uint256 i = 0; i < _crowd.numberOfRequests(); ++i) {
            bytes32 id = _crowd.requests(i);
            IRetrieval.Request memory r = _crowd.retrieval().request(id);
            if (_crowd.ended(id) != 0) {
                _eq(keccak256(abi.encode(r)), _crowd.ended(id), "ended");
                continue;
            }
            if (r.terms.token != money) continue;
            sum += uint256(r.terms.maxItems) * r.terms.pricePerItem + r.terms.scanFee + r.terms.requesterBond;
            if (r.state > IRetrieval.State.Open) sum += r.terms.bond;
            sum += uint256(r.contests) * r.terms.contestFee;
        }
    }

    /// @dev The crowd is not idle: a fixed walk enters every state, and all of the above holds at its end.
    function test_theCrowdReachesEveryStateOfRetrievals() public {
        for (uint256 n = 0; n < 4000; ++n) {
            uint256 dice = uint256(keccak256(abi.encode("retrievals", n)));
            _turn(dice % 13, dice >> 8);
        }
        for (uint256 s = 1; s < 9; ++s) {
            _isTrue(_crowd.entered(s) >= 5, string.concat("state reached ", vm.toString(s)));
        }
        invariant_theMoneyOfRetrievalsIsWhereTheRulesPutIt();
    }

    function _turn(uint256 what, uint256 dice) private {
        (uint256 p, uint256 i, uint32 n) = (dice % 4, (dice >> 8) % 64, uint32(dice >> 16));
        if (what <= 1) _crowd.open(p, dice >> 24, uint8(dice >> 216), uint8(dice >> 224));
        else if (what <= 3) _crowd.pass(uint16(dice >> 24));
        else if (what == 4) _crowd.accept(p, i);
        else if (what == 5) _crowd.claim(p, i, n);
        else if (what == 6) _crowd.approve(p, i);
        else if (what == 7) _crowd.cancel(p, i);
        else if (what == 8) _crowd.contest(p, i);
        else if (what == 9) _crowd.answer(p, i, n);
        else if (what == 10) _crowd.reject(p, i);
        else if (what == 11) _crowd.expire(p, i);
        else _crowd.withdraw(p, n % 2 == 0);
    }
}
