// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {RetrievalScene} from "./RetrievalScene.sol";

/// @title The money lemmas of retrievals: for all amounts at once, what went in comes out, to whom the rules say, and once.
/// @dev `npm run prove` has halmos prove the `check_` functions; forge does not run them.
contract RetrievalLemmasTest is RetrievalScene {
    address private constant NOBODY = address(0xdEaD);

    struct Amounts {
        uint128 price;
        uint128 scanFee;
        uint128 requesterBond;
        uint128 bond;
        uint128 contestFee;
    }

    function check_aCancelledRequestGivesAllBack(Amounts memory m) public {
        bytes32 id = _askedWith(m);
        vm.prank(buyer);
        retrieval.cancel(id);
        _split(id, _own(m), 0, 0, _own(m));
    }

    function check_approvalPaysByTheItem(Amounts memory m) public {
        _approved(m, 4);
    }

    function check_noMoreIsPaidThanWasAskedFor(Amounts memory m) public {
        _approved(m, 6);
    }

    function check_silencePaysByTheItem(Amounts memory m) public {
        bytes32 id = _claimedWith(m, 4);
        vm.warp(block.timestamp + 501);
        retrieval.expire(id);
        _paysByTheItem(id, m, 4);
    }

    function check_rejectionBurnsAsMuchOfBoth(Amounts memory m) public {
        _rejected(m, 4);
    }

    /// @dev Not halmos' but forge's: no solver decides a product of two unknowns in a minute.
    function test_anyCountIsPaidForOrBurnt(Amounts memory m, uint32 matches) public {
        (m.price, m.scanFee, m.requesterBond) = (m.price >> 8, m.scanFee >> 8, m.requesterBond >> 8);
        m.contestFee >>= 8;
        m.bond = uint128(_items(m)) + m.requesterBond + (m.bond >> 8);
        uint256 clean = vm.snapshotState();
        _approved(m, matches % 11);
        vm.revertToState(clean);
        _rejected(m, matches % 11);
    }

    function _approved(Amounts memory m, uint32 matches) private {
        bytes32 id = _claimedWith(m, matches);
        vm.prank(buyer);
        retrieval.approve(id, "");
        _paysByTheItem(id, m, matches);
    }

    /// @dev Nobody gains by a rejection: as much of each side's is burnt.
    function _rejected(Amounts memory m, uint32 matches) private {
        bytes32 id = _claimedWith(m, matches);
        vm.prank(buyer);
        retrieval.reject(id);
        uint256 due = _due(m, matches);
        uint256 lost = due + m.requesterBond;
        _split(id, _items(m) - due, uint256(m.scanFee) + m.bond - lost, 2 * lost, _own(m) + m.bond);
    }

    function check_noClaimCostsTheBond(Amounts memory m) public {
        bytes32 id = _takenWith(m);
        vm.warp(4001);
        retrieval.expire(id);
        uint256 all = _own(m) + m.bond;
        _split(id, all, 0, 0, all);
    }

    function check_anUnansweredContestCostsTheBond(Amounts memory m) public {
        bytes32 id = _claimedWith(m, 4);
        vm.deal(buyer, m.contestFee);
        vm.prank(buyer);
        retrieval.contest{value: m.contestFee}(id, 1);
        vm.warp(block.timestamp + 301);
        retrieval.expire(id);
        uint256 all = _own(m) + m.bond + m.contestFee;
        _split(id, all, 0, 0, all);
    }

    function check_withdrawalPaysTheCreditOnce(Amounts memory m) public {
        bytes32 id = _askedWith(m);
        vm.prank(buyer);
        retrieval.cancel(id);
        uint256 due = _own(m);
        vm.assume(due > 0);
        vm.prank(buyer);
        retrieval.withdraw(address(0));
        assert(buyer.balance == due && address(retrieval).balance == 0 && retrieval.held(address(0)) == 0);
        vm.prank(buyer);
        (bool again,) = address(retrieval).call(abi.encodeCall(retrieval.withdraw, address(0)));
        assert(!again);
    }

    // ---- up to where the lemmas begin

    /// @dev Of the five items that are paid for at most.
    function _items(Amounts memory m) private pure returns (uint256) {
        return uint256(m.price) * 5;
    }

    function _due(Amounts memory m, uint32 matches) private pure returns (uint256) {
        return uint256(m.price) * (matches < 5 ? matches : 5);
    }

    /// @dev The requester's own deposit.
    function _own(Amounts memory m) private pure returns (uint256) {
        return _items(m) + m.scanFee + m.requesterBond;
    }

    function _askedWith(Amounts memory m) private returns (bytes32) {
        // More than there is of any money; halmos itself takes no balance for larger than 2^128.
        vm.assume(m.price < 1 << 120 && m.scanFee < 1 << 120 && m.requesterBond < 1 << 120);
        vm.assume(m.bond < 1 << 124 && m.contestFee < 1 << 120);
        vm.assume(m.bond >= _items(m) + m.requesterBond);
        // Four accounts: to halmos an address made of a key is any.
        vm.assume(buyer != seller && buyer != NOBODY && seller != NOBODY);
        vm.assume(buyer != address(retrieval) && seller != address(retrieval));
        IRetrieval.Terms memory t = _offer(address(0));
        (t.pricePerItem, t.scanFee, t.requesterBond) = (m.price, m.scanFee, m.requesterBond);
        (t.bond, t.contestFee) = (m.bond, m.contestFee);
        vm.deal(buyer, _own(m));
        return _ask(t);
    }

    function _takenWith(Amounts memory m) private returns (bytes32 id) {
        id = _askedWith(m);
        vm.deal(seller, m.bond);
        vm.prank(seller);
        retrieval.accept{value: m.bond}(id);
    }

    function _claimedWith(Amounts memory m, uint32 matches) private returns (bytes32 id) {
        id = _takenWith(m);
        vm.prank(seller);
        retrieval.claim(id, CIPHERTEXT, matches, matches, CIPHERTEXT);
    }

    // ---- what the lemmas say

    function _paysByTheItem(bytes32 id, Amounts memory m, uint32 matches) private {
        uint256 due = _due(m, matches);
        _split(id, _items(m) - due + m.requesterBond, due + m.scanFee + m.bond, 0, _own(m) + m.bond);
    }

    /// @dev The credits, their sum is what went in and is there, and no second end follows the first.
    function _split(bytes32 id, uint256 toRequester, uint256 toResponder, uint256 burnt, uint256 paidIn) private {
        assert(retrieval.credit(buyer, address(0)) == toRequester);
        assert(retrieval.credit(seller, address(0)) == toResponder);
        assert(retrieval.credit(NOBODY, address(0)) == burnt);
        assert(toRequester + toResponder + burnt == paidIn);
        assert(address(retrieval).balance == paidIn && retrieval.held(address(0)) == paidIn);
        assert(retrieval.request(id).deadline == 0);
        bytes[4] memory ends = [
            abi.encodeCall(retrieval.cancel, id),
            abi.encodeCall(retrieval.approve, (id, "")),
            abi.encodeCall(retrieval.reject, id),
            abi.encodeCall(retrieval.expire, id)
        ];
        for (uint256 k = 0; k < 4; ++k) {
            vm.prank(buyer);
            (bool again,) = address(retrieval).call(ends[k]);
            assert(!again);
        }
    }
}
