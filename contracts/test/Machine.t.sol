// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IShards} from "../src/IShards.sol";
import {Machine} from "./Machine.sol";
import {Scene} from "./Scene.sol";

/// @title agreement.json against the escrow.
contract MachineTest is Machine, Scene {
    /// @dev Which conditions of the table hold.
    struct Variant {
        bool preview;
        bool eager;
        bool window;
        bool last;
        bool passed;
    }

    constructor() Machine("vectors/machine.json") {}

    function test_everythingIsAsTheTableSays() public {
        _judgeAll();
    }

    function _variant(uint256 bits) private pure returns (Variant memory) {
        return Variant(bits & 1 != 0, bits & 2 != 0, bits & 4 != 0, bits & 8 != 0, bits & 16 != 0);
    }

    function _where(bytes32 id) internal view override returns (uint256, uint256) {
        return (uint256(escrow.agreement(id).state), escrow.agreement(id).deadline);
    }

    function _terminal() internal pure override returns (uint256, uint256) {
        return (uint256(IAgreement.State.Cancelled), uint256(IAgreement.State.Slashed));
    }

    function _contests(bytes32 id) internal view override returns (uint256) {
        return escrow.agreement(id).contests;
    }

    /// @dev price, buyerBond, bond, penalty, previewFee, contestFee, contestFees.
    function _amounts(uint256, uint256 open) internal pure override returns (int256[] memory amounts) {
        amounts = new int256[](7);
        (amounts[0], amounts[1], amounts[2], amounts[3]) = (1000, 100, 500, 200);
        (amounts[4], amounts[5], amounts[6]) = (50, 40, int256(40 * open));
    }

    /// @dev Previews, modes: not every state exists in every variant.
    function _exists(uint256 state, uint256 variant) internal pure override returns (bool) {
        Variant memory v = _variant(variant);
        // Past its window, and its deadline is still to come: so only what is contested.
        if (!v.window && state != uint256(IAgreement.State.Contested)) return false;
        if (state >= uint256(IAgreement.State.Accepted) && state <= uint256(IAgreement.State.PreviewSent)) {
            return v.preview;
        }
        if (state == uint256(IAgreement.State.Denied)) return v.preview;
        if (state == uint256(IAgreement.State.Claimed) || state == uint256(IAgreement.State.Contested)) {
            return !v.eager;
        }
        return true;
    }

    function _variantTerms(Variant memory v) private view returns (IAgreement.Terms memory terms) {
        terms = _terms(address(0));
        terms.mode = v.eager ? IAgreement.Mode.Eager : IAgreement.Mode.Optimistic;
        terms.previewShards = v.preview ? 2 : 0;
    }

    /// @dev Wrong answers in the first shard: three are one below the threshold.
    function _missing(Variant memory v) private pure returns (uint32) {
        return v.passed ? 2 : 3;
    }

    function _reach(uint256 state, uint256 variant) internal override returns (bytes32 id) {
        Variant memory v = _variant(variant);
        IAgreement.Terms memory terms = _variantTerms(v);
        IAgreement.State s = IAgreement.State(state);
        if (s == IAgreement.State.None) return escrow.agreementIdOf(buyer, escrow.nonces(buyer), terms);
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
            if (s == IAgreement.State.Claimed) return id;
            if (!v.window) vm.warp(escrow.agreement(id).windowEnd);
            _contest(id, 0);
            if (!v.last) _contest(id, 1);
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
        IShards.ShardProof[] memory counts = _counts(id, _missing(v));
        if (!v.last) return;
        escrow.proveShard(id, counts[1]);
        escrow.proveShard(id, counts[2]);
    }

    /// @dev Nobody brings a signature.
    function _call(bytes32 id, uint256 variant, uint256 e)
        internal
        view
        override
        returns (uint256 value, bytes memory data)
    {
        Variant memory v = _variant(variant);
        if (e == 0) (value, data) = (1100, abi.encodeCall(escrow.open, _variantTerms(v)));
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
            IShards.ShardProof[] memory counts = _counts(id, _missing(v));
            data = abi.encodeCall(escrow.answer, (id, counts[0], _sumPath(counts, 0)));
        }
        if (e == 13) data = abi.encodeCall(escrow.proveShard, (id, _counts(id, _missing(v))[0]));
        if (e == 14) data = abi.encodeCall(escrow.expire, id);
    }
}
