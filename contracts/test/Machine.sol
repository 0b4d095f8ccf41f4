// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILedger} from "../src/ILedger.sol";
import {World} from "./World.sol";

/// @title A state machine's table against its contract, every row and everything that is no row: each event in each state
/// by each party, in the last second and one later, under all conditions.
/// @dev `open` is tried where there is nothing yet, by the first party: whoever sends it is that, and elsewhere it opens
/// something else.
abstract contract Machine is World {
    struct Table {
        uint256 events;
        uint256 conditions;
        uint256 amounts;
        uint256 rows;
        uint256[] from;
        uint256[] event_;
        uint256[] by;
        uint256[] after_;
        uint256[] to;
        uint256[] if_;
        int256[] deposit;
        int256[] first;
        int256[] second;
        int256[] nobody;
    }

    struct Wealth {
        uint256 wallets;
        uint256 first;
        uint256 second;
        uint256 nobody;
    }

    Table private _t;
    /// A bit for each row that allowed a call, and for each state that was looked at.
    uint256 private _met;
    uint256 private _seen;

    constructor(string memory file) {
        string memory json = vm.readFile(file);
        _t.events = vm.parseJsonStringArray(json, ".events").length;
        _t.conditions = vm.parseJsonStringArray(json, ".conditions").length;
        _t.amounts = vm.parseJsonStringArray(json, ".amounts").length;
        _t.rows = vm.parseJsonUint(json, ".rows");
        _t.from = vm.parseJsonUintArray(json, ".from");
        _t.event_ = vm.parseJsonUintArray(json, ".event");
        _t.by = vm.parseJsonUintArray(json, ".by");
        _t.after_ = vm.parseJsonUintArray(json, ".after");
        _t.to = vm.parseJsonUintArray(json, ".to");
        _t.if_ = vm.parseJsonUintArray(json, ".if");
        _t.deposit = vm.parseJsonIntArray(json, ".deposit");
        _t.first = vm.parseJsonIntArray(json, ".first");
        _t.second = vm.parseJsonIntArray(json, ".second");
        _t.nobody = vm.parseJsonIntArray(json, ".nobody");
    }

    // ---- what a contract has of its own. A variant has a bit for each condition of the table: whether it holds.

    /// @dev State and deadline.
    function _where(bytes32 id) internal view virtual returns (uint256 state, uint256 deadline);

    /// @dev The first terminal state, and the last.
    function _terminal() internal pure virtual returns (uint256 first, uint256 last);

    function _exists(uint256 state, uint256 variant) internal pure virtual returns (bool);

    /// @dev Into a state; `None`: the id that `open` will give.
    function _reach(uint256 state, uint256 variant) internal virtual returns (bytes32 id);

    /// @dev The call as whoever is entitled would make it.
    function _call(bytes32 id, uint256 variant, uint256 event_)
        internal
        view
        virtual
        returns (uint256 value, bytes memory data);

    /// @dev The table's amounts, in its order; `open`: contests not answered yet.
    function _amounts(uint256 variant, uint256 open) internal pure virtual returns (int256[] memory);

    /// @dev Contests not answered yet.
    function _contests(bytes32 id) internal view virtual returns (uint256);

    // ---- everything is tried

    function _judgeAll() internal {
        (, uint256 last) = _terminal();
        for (uint256 variant = 0; variant < 1 << _t.conditions; ++variant) {
            for (uint256 state = 0; state <= last; ++state) {
                if (_exists(state, variant)) this.judgeState(state, variant);
            }
        }
        _eq(_met, (1 << _t.rows) - 1, "rows met");
        _eq(_seen, (1 << (last + 1)) - 1, "states seen");
    }

    function judgeState(uint256 state, uint256 variant) external {
        uint256 clean = vm.snapshotState();
        bytes32 id = _reach(state, variant);
        (uint256 found, uint256 deadline) = _where(id);
        (uint256 terminal,) = _terminal();
        _eq(found, state, "reached");
        if (state == 0 || state >= terminal) deadline = block.timestamp;
        _seen |= 1 << state;
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(deadline + late);
            for (uint256 who = 0; who < 3; ++who) {
                for (uint256 e = state + who == 0 ? 0 : 1; e < _t.events; ++e) {
                    uint256 here = vm.snapshotState();
                    _judge(id, variant, [state, e, who, late]);
                    _forget(here);
                }
            }
        }
        _forget(clean);
    }

    /// @dev Back to a snapshot, but for what was met.
    function _forget(uint256 snapshot) private {
        (uint256 met, uint256 seen) = (_met, _seen);
        vm.revertToState(snapshot);
        (_met, _seen) = (met, seen);
    }

    /// @dev `place`: state, event, party, whether late.
    function _judge(bytes32 id, uint256 variant, uint256[4] memory place) private {
        string memory where = string.concat("variant ", vm.toString(variant), ", state ", vm.toString(place[0]));
        where = string.concat(where, ", event ", vm.toString(place[1]), ", by ", vm.toString(place[2]));
        where = string.concat(where, ", late ", vm.toString(place[3]));
        (bool found, uint256 row) = _row(variant, place);
        uint256 open = _contests(id);
        Wealth memory before = _wealth();
        _eq(_try(id, variant, place[1], place[2]) ? 1 : 0, found ? 1 : 0, where);
        (uint256 state,) = _where(id);
        _eq(state, found ? _t.to[row] : place[0], where);
        if (found) _checkMoves(row, _amounts(variant, open), before, where);
        else _eq(keccak256(abi.encode(before)), keccak256(abi.encode(_wealth())), where);
        if (found) _met |= 1 << row;
    }

    function _try(bytes32 id, uint256 variant, uint256 e, uint256 who) private returns (bool success) {
        (uint256 value, bytes memory data) = _call(id, variant, e);
        _isTrue(data.length >= 4, "every event has its call");
        vm.prank(_people()[who]);
        (success,) = _contract().call{value: value}(data);
    }

    function _checkMoves(uint256 row, int256[] memory amounts, Wealth memory before, string memory where) private view {
        Wealth memory afterwards = _wealth();
        _eq(before.wallets - afterwards.wallets, _sum(_t.deposit, row, amounts), where);
        _eq(afterwards.first - before.first, _sum(_t.first, row, amounts), where);
        _eq(afterwards.second - before.second, _sum(_t.second, row, amounts), where);
        _eq(afterwards.nobody - before.nobody, _sum(_t.nobody, row, amounts), where);
    }

    function _row(uint256 variant, uint256[4] memory place) private view returns (bool found, uint256 row) {
        for (uint256 r = 0; r < _t.rows; ++r) {
            if (_t.from[r] != place[0] || _t.event_[r] != place[1]) continue;
            if (_t.by[r] != 2 && _t.by[r] != place[2]) continue;
            if (_t.after_[r] != 2 && _t.after_[r] != place[3]) continue;
            if (!_holds(_t.if_[r], variant)) continue;
            _isTrue(!found, "one row at most");
            (found, row) = (true, r);
        }
    }

    /// @dev Two bits a condition: must hold, must not hold.
    function _holds(uint256 mask, uint256 variant) private view returns (bool) {
        for (uint256 c = 0; c < _t.conditions; ++c) {
            uint256 bits = (mask >> (2 * c)) & 3;
            bool truth = (variant >> c) & 1 == 1;
            if (bits == 1 && !truth || bits == 2 && truth) return false;
        }
        return true;
    }

    function _sum(int256[] storage coefficients, uint256 row, int256[] memory amounts) private view returns (uint256) {
        int256 sum = 0;
        for (uint256 k = 0; k < _t.amounts; ++k) {
            sum += coefficients[_t.amounts * row + k] * amounts[k];
        }
        return uint256(sum);
    }

    function _wealth() private view returns (Wealth memory w) {
        address[3] memory people = _people();
        ILedger ledger = ILedger(_contract());
        w.wallets = people[0].balance + people[1].balance + people[2].balance;
        w.first = ledger.credit(people[0], address(0));
        w.second = ledger.credit(people[1], address(0));
        w.nobody = ledger.credit(address(0xdEaD), address(0));
        _eq(ledger.held(address(0)), address(ledger).balance, "held");
    }
}
