// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {Scene} from "./Scene.sol";

/// @title agreement.json against the contract, every row and everything that is no row: each event in each state by
/// each party, in the last second and one later, under all conditions.
contract MachineTest is Scene {
    uint256 private constant CANCELLED = uint256(IAgreement.State.Cancelled);
    address private constant NOBODY = address(0xdEaD);

    struct Table {
        uint256 rows;
        uint256[] from;
        uint256[] event_;
        uint256[] by;
        uint256[] after_;
        uint256[] to;
        uint256[] conditions;
        int256[] deposit;
        int256[] buyer;
        int256[] seller;
        int256[] nobody;
    }

    /// @dev Which conditions of the table hold.
    struct Variant {
        bool preview;
        bool eager;
        bool last;
        bool passed;
    }

    struct Wealth {
        uint256 wallets;
        uint256 buyer;
        uint256 seller;
        uint256 nobody;
    }

    Table private _t;
    uint256 private _allowed;
    uint256 private _refused;

    function setUp() public override {
        super.setUp();
        string memory json = vm.readFile("vectors/machine.json");
        _t.rows = vm.parseJsonUint(json, ".rows");
        _t.from = vm.parseJsonUintArray(json, ".from");
        _t.event_ = vm.parseJsonUintArray(json, ".event");
        _t.by = vm.parseJsonUintArray(json, ".by");
        _t.after_ = vm.parseJsonUintArray(json, ".after");
        _t.to = vm.parseJsonUintArray(json, ".to");
        _t.conditions = vm.parseJsonUintArray(json, ".if");
        _t.deposit = vm.parseJsonIntArray(json, ".deposit");
        _t.buyer = vm.parseJsonIntArray(json, ".buyer");
        _t.seller = vm.parseJsonIntArray(json, ".seller");
        _t.nobody = vm.parseJsonIntArray(json, ".nobody");
    }

    function test_everythingIsAsTheTableSays() public {
        for (uint256 v = 0; v < 16; ++v) {
            Variant memory variant = Variant(v & 1 != 0, v & 2 != 0, v & 4 != 0, v & 8 != 0);
            for (uint256 state = 1; state <= uint256(IAgreement.State.Slashed); ++state) {
                if (_exists(state, variant)) this.judgeState(state, variant);
            }
        }
        // Every row that is not `open` was met, and much that is no row.
        _isTrue(_allowed > 150 && _refused > 5000, "calls made");
    }

    /// @dev Previews, modes: not every state exists in every variant.
    function _exists(uint256 state, Variant memory v) private pure returns (bool) {
        if (state >= uint256(IAgreement.State.Accepted) && state <= uint256(IAgreement.State.PreviewSent)) {
            return v.preview;
        }
        if (state == uint256(IAgreement.State.Denied)) return v.preview;
        if (state == uint256(IAgreement.State.Claimed) || state == uint256(IAgreement.State.Contested)) {
            return !v.eager;
        }
        return true;
    }

    function judgeState(uint256 state, Variant memory v) external {
        uint256 clean = vm.snapshotState();
        bytes32 id = _reach(state, v);
        uint256 deadline = state < CANCELLED ? escrow.agreement(id).deadline : block.timestamp;
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(deadline + late);
            for (uint256 who = 0; who < 3; ++who) {
                for (uint256 e = 1; e < 15; ++e) {
                    uint256 here = vm.snapshotState();
                    _judge(id, v, state, e, who, late);
                    (uint256 allowed, uint256 refused) = (_allowed, _refused);
                    vm.revertToState(here);
                    (_allowed, _refused) = (allowed, refused);
                }
            }
        }
        (uint256 allowed_, uint256 refused_) = (_allowed, _refused);
        vm.revertToState(clean);
        (_allowed, _refused) = (allowed_, refused_);
    }

    function _judge(bytes32 id, Variant memory v, uint256 state, uint256 e, uint256 who, uint256 late) private {
        string memory where = string.concat(
            "state ",
            vm.toString(state),
            ", event ",
            vm.toString(e),
            ", by ",
            vm.toString(who),
            ", late ",
            vm.toString(late)
        );
        (bool found, uint256 row) = _row(v, state, e, who, late);
        uint256 to = found ? _t.to[row] : state;
        Wealth memory before = _wealth();
        _eq(_try(id, v, e, who) ? 1 : 0, found ? 1 : 0, where);
        _eq(uint256(escrow.agreement(id).state), to, where);
        uint256 open = state == uint256(IAgreement.State.Contested) ? (v.last ? 1 : 2) : 0;
        if (found) _checkMoves(row, open, before, where);
        else _eq(keccak256(abi.encode(before)), keccak256(abi.encode(_wealth())), where);
        if (found) ++_allowed;
        else ++_refused;
    }

    function _try(bytes32 id, Variant memory v, uint256 e, uint256 who) private returns (bool success) {
        (uint256 value, bytes memory data) = _call(id, v, e);
        vm.prank([buyer, seller, stranger][who]);
        (success,) = address(escrow).call{value: value}(data);
    }

    function _checkMoves(uint256 row, uint256 open, Wealth memory before, string memory where) private view {
        Wealth memory afterwards = _wealth();
        _eq(before.wallets - afterwards.wallets, _sum(_t.deposit, row, open), where);
        _eq(afterwards.buyer - before.buyer, _sum(_t.buyer, row, open), where);
        _eq(afterwards.seller - before.seller, _sum(_t.seller, row, open), where);
        _eq(afterwards.nobody - before.nobody, _sum(_t.nobody, row, open), where);
    }

    function _row(Variant memory v, uint256 state, uint256 e, uint256 who, uint256 late)
        private
        view
        returns (bool found, uint256 row)
    {
        for (uint256 r = 0; r < _t.rows; ++r) {
            if (_t.from[r] != state || _t.event_[r] != e) continue;
            if (_t.by[r] != 2 && _t.by[r] != who) continue;
            if (_t.after_[r] != 2 && _t.after_[r] != late) continue;
            if (!_holds(_t.conditions[r], v)) continue;
            _isTrue(!found, "one row at most");
            (found, row) = (true, r);
        }
    }

    function _holds(uint256 mask, Variant memory v) private pure returns (bool) {
        bool[4] memory truth = [v.preview, v.eager, v.last, v.passed];
        for (uint256 c = 0; c < 4; ++c) {
            uint256 bits = (mask >> (2 * c)) & 3;
            if (bits == 1 && !truth[c] || bits == 2 && truth[c]) return false;
        }
        return true;
    }

    /// @dev A sum of amounts: price, buyerBond, bond, penalty, previewFee, contestFee, contestFees.
    function _sum(int256[] storage coefficients, uint256 row, uint256 open) private view returns (uint256) {
        int256[7] memory amounts = [int256(1000), 100, 500, 200, 50, 40, int256(40 * open)];
        int256 sum = 0;
        for (uint256 k = 0; k < 7; ++k) {
            sum += coefficients[7 * row + k] * amounts[k];
        }
        return uint256(sum);
    }

    // ---- into each state, and what is tried there

    function _variantTerms(Variant memory v) private view returns (IAgreement.Terms memory terms) {
        terms = _terms(address(0));
        terms.mode = v.eager ? IAgreement.Mode.Eager : IAgreement.Mode.Optimistic;
        terms.previewShards = v.preview ? 2 : 0;
    }

    /// @dev Wrong answers in the first shard: three are one below the threshold.
    function _missing(Variant memory v) private pure returns (uint32) {
        return v.passed ? 2 : 3;
    }

    function _reach(uint256 state, Variant memory v) private returns (bytes32 id) {
        IAgreement.Terms memory terms = _variantTerms(v);
        IAgreement.State s = IAgreement.State(state);
        if (s == IAgreement.State.Open) return _open(terms);
        if (s == IAgreement.State.Accepted) {
            id = _accepted(terms);
            vm.roll(block.number + 2);
        } else if (s == IAgreement.State.Drawn || s == IAgreement.State.PreviewSent) {
            id = _drawn(terms);
            if (s == IAgreement.State.PreviewSent) _send(id);
        } else if (s == IAgreement.State.Previewed || s == IAgreement.State.RestSent) {
            id = _previewed(terms);
            if (s == IAgreement.State.RestSent) _send(id);
        } else if (s == IAgreement.State.Delivered) {
            id = _delivered(terms);
            if (v.eager) _proveSome(id, v);
        } else if (s == IAgreement.State.Claimed || s == IAgreement.State.Contested) {
            id = _claimed(terms, _missing(v));
            if (s == IAgreement.State.Contested) _contest(id, 0);
            if (s == IAgreement.State.Contested && !v.last) _contest(id, 1);
        } else {
            id = _ended(s, v, terms);
        }
    }

    function _ended(IAgreement.State s, Variant memory v, IAgreement.Terms memory terms) private returns (bytes32 id) {
        if (s == IAgreement.State.Cancelled) {
            id = _open(terms);
            vm.prank(buyer);
            escrow.cancel(id);
        } else if (s == IAgreement.State.Declined) {
            id = _previewed(terms);
            vm.prank(seller);
            escrow.decline(id);
        } else if (s == IAgreement.State.Denied) {
            id = _drawn(terms);
            _send(id);
            vm.prank(seller);
            escrow.deny(id);
        } else if (s == IAgreement.State.Forfeited) {
            id = _previewed(terms);
            vm.warp(terms.deliverBy + 1);
            escrow.expire(id);
        } else if (s == IAgreement.State.Slashed || v.eager) {
            id = _delivered(terms);
            if (s == IAgreement.State.Slashed) vm.warp(terms.claimBy + 1);
            if (s == IAgreement.State.Slashed) escrow.expire(id);
            else _proveAll(id, _missing(v));
        } else {
            id = _claimed(terms, _missing(v));
            vm.prank(buyer);
            escrow.approve(id, "");
        }
        vm.warp(T0 + 100);
    }

    function _send(bytes32 id) private {
        vm.prank(buyer);
        escrow.send(id, CIPHERTEXT);
    }

    /// @dev All but the first shard, or nothing.
    function _proveSome(bytes32 id, Variant memory v) private {
        IAgreement.ShardProof[] memory counts = _counts(id, _missing(v));
        if (!v.last) return;
        escrow.proveShard(id, counts[1]);
        escrow.proveShard(id, counts[2]);
    }

    /// @dev The call as whoever is entitled would make it; none brings a signature.
    function _call(bytes32 id, Variant memory v, uint256 e) private view returns (uint256 value, bytes memory data) {
        if (e == 1) data = abi.encodeCall(escrow.cancel, id);
        if (e == 2) (value, data) = (500, abi.encodeCall(escrow.accept, id));
        if (e == 3) data = abi.encodeCall(escrow.draw, id);
        if (e == 4) data = abi.encodeCall(escrow.send, (id, CIPHERTEXT));
        if (e == 5) data = abi.encodeCall(escrow.proceed, (id, CIPHERTEXT, ""));
        if (e == 6) data = abi.encodeCall(escrow.acknowledge, (id, CIPHERTEXT, ""));
        if (e == 7) data = abi.encodeCall(escrow.decline, id);
        if (e == 8) data = abi.encodeCall(escrow.deny, id);
        if (e == 9) data = abi.encodeCall(escrow.claim, (id, CIPHERTEXT, 7, 7));
        if (e == 10) data = abi.encodeCall(escrow.approve, (id, ""));
        if (e == 11) (value, data) = (40, abi.encodeCall(escrow.contest, (id, 2)));
        if (e == 12) {
            IAgreement.ShardProof[] memory counts = _counts(id, _missing(v));
            data = abi.encodeCall(escrow.answer, (id, counts[0], _sumPath(counts, 0)));
        }
        if (e == 13) data = abi.encodeCall(escrow.proveShard, (id, _counts(id, _missing(v))[0]));
        if (e == 14) data = abi.encodeCall(escrow.expire, id);
    }

    function _wealth() private view returns (Wealth memory w) {
        w.wallets = buyer.balance + seller.balance + stranger.balance;
        w.buyer = escrow.credit(buyer, address(0));
        w.seller = escrow.credit(seller, address(0));
        w.nobody = escrow.credit(NOBODY, address(0));
        _eq(escrow.held(address(0)), address(escrow).balance, "held");
    }
}
