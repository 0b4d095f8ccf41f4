// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {Machine} from "./Machine.sol";
import {RetrievalScene} from "./RetrievalScene.sol";
import {World} from "./World.sol";

/// @title retrieval.json against the retrieval contract.
contract RetrievalMachineTest is Machine, RetrievalScene {
    /// @dev Conditions of the table.
    uint256 private constant SIGNED = 1;
    uint256 private constant WINDOW = 2;
    uint256 private constant LAST = 4;

    constructor() Machine("vectors/retrieval-machine.json") {}

    function test_everythingIsAsTheTableSays() public {
        _judgeAll();
    }

    function setUp() public override(World, RetrievalScene) {
        super.setUp();
    }

    function _contract() internal view override(World, RetrievalScene) returns (address) {
        return super._contract();
    }

    function _where(bytes32 id) internal view override returns (uint256, uint256) {
        return (uint256(retrieval.request(id).state), retrieval.request(id).deadline);
    }

    function _terminal() internal pure override returns (uint256, uint256) {
        return (uint256(IRetrieval.State.Cancelled), uint256(IRetrieval.State.Slashed));
    }

    function _contests(bytes32 id) internal view override returns (uint256) {
        return retrieval.request(id).contests;
    }

    /// @dev price, due (of four matches), scanFee, requesterBond, bond, contestFee, contestFees.
    function _amounts(uint256, uint256 open) internal pure override returns (int256[] memory amounts) {
        amounts = new int256[](7);
        (amounts[0], amounts[1], amounts[2], amounts[3]) = (500, 400, 70, 30);
        (amounts[4], amounts[5], amounts[6]) = (577, 40, int256(40 * open));
    }

    function _exists(uint256, uint256) internal pure override returns (bool) {
        return true;
    }

    function _reach(uint256 state, uint256 variant) internal override returns (bytes32 id) {
        IRetrieval.Terms memory terms = _offer(address(0));
        IRetrieval.State s = IRetrieval.State(state);
        if (s == IRetrieval.State.None) return retrieval.requestIdOf(buyer, _nonce, terms);
        if (s == IRetrieval.State.Open) return _ask(terms);
        if (s == IRetrieval.State.Accepted) return _taken(terms);
        if (s == IRetrieval.State.Cancelled) {
            id = _ask(terms);
            vm.prank(buyer);
            retrieval.cancel(id);
            return id;
        }
        id = _counted(terms, 2);
        bool over = variant & WINDOW == 0;
        if (s == IRetrieval.State.Claimed) {
            // Past its window, but in time to judge the items.
            if (over) _contested(id, true, true);
            if (over) _show(id, 2, 0);
        } else if (s == IRetrieval.State.Settled || s == IRetrieval.State.Rejected) {
            vm.prank(buyer);
            if (s == IRetrieval.State.Settled) retrieval.approve(id, "");
            else retrieval.reject(id);
        } else {
            _contested(id, over, variant & LAST != 0);
            if (s == IRetrieval.State.Contested) return id;
            vm.warp(retrieval.request(id).deadline + 1);
            retrieval.expire(id);
        }
    }

    /// @dev In the last second of the window, or at once; once or twice.
    function _contested(bytes32 id, bool late, bool once) private {
        if (late) vm.warp(retrieval.request(id).windowEnd);
        _doubt(id, 0);
        if (!once) _doubt(id, 1);
    }

    function _call(bytes32 id, uint256 variant, uint256 e)
        internal
        view
        override
        returns (uint256 value, bytes memory data)
    {
        if (e == 0) (value, data) = (600, abi.encodeCall(retrieval.open, (_offer(address(0)), _nonce)));
        if (e == 1) data = abi.encodeCall(retrieval.cancel, id);
        if (e == 2) (value, data) = (577, abi.encodeCall(retrieval.accept, id));
        if (e == 3) data = abi.encodeCall(retrieval.claim, (id, CIPHERTEXT, 4, 10, CIPHERTEXT));
        if (e == 4) {
            bytes32 digest = retrieval.approvalDigest(id, retrieval.request(id).claimRoot, CIPHERTEXT);
            bytes memory approval = variant & SIGNED != 0 ? _sign(BUYER_KEY, digest) : bytes("");
            data = abi.encodeCall(retrieval.approve, (id, approval));
        }
        if (e == 5) (value, data) = (40, abi.encodeCall(retrieval.contest, (id, 2)));
        if (e == 6) {
            IShards.ShardProof[] memory all = _matches(id, 2);
            data = abi.encodeCall(retrieval.answer, (id, all[0], _sumPath(all, 0)));
        }
        if (e == 7) data = abi.encodeCall(retrieval.reject, id);
        if (e == 8) data = abi.encodeCall(retrieval.expire, id);
    }
}
