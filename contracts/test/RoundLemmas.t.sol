// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title The money lemmas of rounds: for all amounts at once, what went in comes out, to whom the rules say, and once.
/// @dev `npm run prove` has halmos prove the `check_` functions; forge does not run them.
contract RoundLemmasTest is RoundScene {
    struct Amounts {
        uint128 price;
        uint128 bond;
        uint128 contestFee;
    }

    function check_aCancelledRoundGivesAllBack(Amounts memory m) public {
        bytes32 id = _openedWith(m);
        vm.prank(buyer);
        rounds.cancel(id);
        _split(id, _price(m), 0, _price(m));
    }

    function check_anOfferNobodyTookGivesAllBack(Amounts memory m) public {
        bytes32 id = _openedWith(m);
        vm.warp(2001);
        rounds.expire(id);
        _split(id, _price(m), 0, _price(m));
    }

    function check_approvalPaysByTheCount(Amounts memory m) public {
        _approved(m, 7);
    }

    function check_silencePaysByTheCount(Amounts memory m) public {
        bytes32 id = _closedWith(m, 7);
        vm.warp(block.timestamp + 501);
        rounds.expire(id);
        _paysByTheCount(id, m, 7);
    }

    /// @dev Not halmos' but forge's: no solver decides a product of two unknowns in a minute.
    function test_anyCountIsPaidFor(Amounts memory m, uint32 count) public {
        (m.price, m.bond, m.contestFee) = (m.price >> 8, m.bond >> 8, m.contestFee >> 8);
        _approved(m, count % 11);
    }

    function _approved(Amounts memory m, uint32 count) private {
        bytes32 id = _closedWith(m, count);
        vm.prank(buyer);
        rounds.approve(id, count, "");
        _paysByTheCount(id, m, count);
    }

    function check_aRoundNobodyClosedPaysNothing(Amounts memory m) public {
        bytes32 id = _servingWith(m);
        vm.warp(3001);
        rounds.expire(id);
        vm.warp(3501);
        rounds.expire(id);
        _split(id, _price(m), m.bond, _price(m) + m.bond);
    }

    function check_anUnansweredContestCostsEverything(Amounts memory m) public {
        bytes32 id = _contestedWith(m);
        vm.warp(block.timestamp + 301);
        rounds.expire(id);
        uint256 all = _price(m) + m.bond + m.contestFee;
        _split(id, all, 0, all);
    }

    function check_anAnswerEarnsItsFeeAlone(Amounts memory m) public {
        bytes32 id = _contestedWith(m);
        _answer(id, 3, 0);
        assert(rounds.credit(seller, address(0)) == m.contestFee && rounds.credit(buyer, address(0)) == 0);
        vm.warp(block.timestamp + 501);
        rounds.expire(id);
        _split(id, _price(m), uint256(m.bond) + m.contestFee, _price(m) + m.bond + m.contestFee);
    }

    function check_withdrawalPaysTheCreditOnce(Amounts memory m) public {
        bytes32 id = _openedWith(m);
        vm.prank(buyer);
        rounds.cancel(id);
        vm.assume(m.price > 0);
        vm.prank(buyer);
        rounds.withdraw(address(0));
        assert(buyer.balance == _price(m) && address(rounds).balance == 0 && rounds.held(address(0)) == 0);
        vm.prank(buyer);
        (bool again,) = address(rounds).call(abi.encodeCall(rounds.withdraw, address(0)));
        assert(!again);
    }

    // ---- up to where the lemmas begin

    /// @dev Of the ten batches.
    function _price(Amounts memory m) private pure returns (uint256) {
        return uint256(m.price) * 10;
    }

    function _openedWith(Amounts memory m) private returns (bytes32) {
        // More than there is of any money; halmos itself takes no balance for larger than 2^128.
        vm.assume(m.price < 1 << 120 && m.bond < 1 << 120 && m.contestFee < 1 << 120);
        // Three accounts: to halmos an address made of a key is any.
        vm.assume(buyer != seller && buyer != address(rounds) && seller != address(rounds));
        IPredictions.Terms memory terms = _terms(address(0));
        (terms.price, terms.bond, terms.contestFee) = (m.price, m.bond, m.contestFee);
        vm.deal(buyer, _price(m));
        return _open(terms);
    }

    function _servingWith(Amounts memory m) private returns (bytes32 id) {
        id = _openedWith(m);
        vm.deal(seller, m.bond);
        vm.prank(seller);
        rounds.accept{value: m.bond}(id);
    }

    function _closedWith(Amounts memory m, uint32 count) private returns (bytes32 id) {
        id = _servingWith(m);
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, count));
        vm.prank(seller);
        rounds.close(id, count, voucher);
    }

    function _contestedWith(Amounts memory m) private returns (bytes32 id) {
        id = _servingWith(m);
        vm.prank(seller);
        rounds.close(id, 0, "");
        vm.deal(buyer, m.contestFee);
        _contest(id, 3, 0);
    }

    // ---- what the lemmas say

    function _paysByTheCount(bytes32 id, Amounts memory m, uint32 count) private {
        uint256 earned = uint256(m.price) * count;
        _split(id, _price(m) - earned, earned + m.bond, _price(m) + m.bond);
    }

    /// @dev The credits, their sum is what went in and is there, and no second end follows the first.
    function _split(bytes32 id, uint256 toBuyer, uint256 toSeller, uint256 paidIn) private {
        assert(rounds.credit(buyer, address(0)) == toBuyer);
        assert(rounds.credit(seller, address(0)) == toSeller);
        assert(toBuyer + toSeller == paidIn);
        assert(address(rounds).balance == paidIn && rounds.held(address(0)) == paidIn);
        assert(rounds.round(id).deadline == 0);
        bytes[4] memory ends = [
            abi.encodeCall(rounds.cancel, id),
            abi.encodeCall(rounds.approve, (id, 0, "")),
            abi.encodeCall(rounds.close, (id, 0, "")),
            abi.encodeCall(rounds.expire, id)
        ];
        for (uint256 k = 0; k < 4; ++k) {
            vm.prank(k == 2 ? seller : buyer);
            (bool again,) = address(rounds).call(ends[k]);
            assert(!again);
        }
    }
}
