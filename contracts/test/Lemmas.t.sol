// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {Scene} from "./Scene.sol";

/// @title The money lemmas: for all amounts at once, what went in comes out, split by the table.
/// @dev `npm run prove` has halmos prove the `check_` functions; forge does not run them.
contract LemmasTest is Scene {
    struct Amounts {
        uint128 price;
        uint128 buyerBond;
        uint128 bond;
        uint128 penalty;
        uint128 previewFee;
        uint128 contestFee;
    }

    function check_settlementPaysOutEverything(Amounts memory m, uint32 correct) public {
        vm.assume(correct <= 10);
        bytes32 id = _acknowledged(m);
        vm.prank(seller);
        escrow.claim(id, CIPHERTEXT, correct, correct);
        vm.warp(block.timestamp + 501);
        escrow.expire(id);
        bool passed = correct >= 8;
        _credits(
            m,
            passed ? m.buyerBond : uint256(m.price) + m.buyerBond + m.penalty,
            passed ? uint256(m.price) + m.bond : m.bond - m.penalty
        );
    }

    function check_noClaimCostsTheBond(Amounts memory m) public {
        bytes32 id = _acknowledged(m);
        vm.warp(4001);
        escrow.expire(id);
        _credits(m, uint256(m.price) + m.buyerBond + m.bond, 0);
    }

    function check_unansweredContestCostsTheBond(Amounts memory m) public {
        bytes32 id = _acknowledged(m);
        vm.prank(seller);
        escrow.claim(id, CIPHERTEXT, 10, 10);
        vm.deal(buyer, m.contestFee);
        vm.prank(buyer);
        escrow.contest{value: m.contestFee}(id, 1);
        vm.warp(block.timestamp + 301);
        escrow.expire(id);
        uint256 all = uint256(m.price) + m.buyerBond + m.bond + m.contestFee;
        assert(escrow.credit(buyer, address(0)) == all);
        assert(escrow.credit(seller, address(0)) == 0);
        assert(address(escrow).balance == all && escrow.held(address(0)) == all);
    }

    /// @dev The same by forge, on random amounts: halmos once gave examples against it that hold when they are run.
    function test_unansweredContestCostsTheBond(Amounts memory m) public {
        (m.price, m.buyerBond, m.bond) = (m.price >> 8, m.buyerBond >> 8, m.bond >> 8);
        m.contestFee >>= 8;
        (m.penalty, m.previewFee) = (m.penalty % (m.bond + 1), m.previewFee % (m.bond + 1));
        check_unansweredContestCostsTheBond(m);
    }

    function check_goingAwayCostsThePreviewFee(Amounts memory m) public {
        bytes32 id = _acceptedWith(m);
        vm.prank(seller);
        escrow.decline(id);
        _credits(m, uint256(m.price) + m.buyerBond + m.previewFee, m.bond - m.previewFee);
    }

    function check_noDeliveryCostsTheBuyersBond(Amounts memory m) public {
        bytes32 id = _acceptedWith(m);
        vm.warp(3001);
        escrow.expire(id);
        _credits(m, m.price, uint256(m.bond) + m.buyerBond);
    }

    function check_denialBurnsBoth(Amounts memory m) public {
        bytes32 id = _acceptedWith(m);
        vm.prank(buyer);
        escrow.send(id, CIPHERTEXT);
        vm.prank(seller);
        escrow.deny(id);
        uint256 burnt = uint256(m.previewFee) + m.buyerBond;
        assert(escrow.credit(buyer, address(0)) == m.price);
        assert(escrow.credit(seller, address(0)) == m.bond - m.previewFee);
        assert(escrow.credit(address(0xdEaD), address(0)) == burnt);
        assert(address(escrow).balance == uint256(m.price) + m.buyerBond + m.bond);
    }

    function check_withdrawalPaysTheCreditOnce(Amounts memory m) public {
        bytes32 id = _acceptedWith(m);
        vm.prank(seller);
        escrow.decline(id);
        uint256 due = escrow.credit(buyer, address(0));
        vm.assume(due > 0);
        vm.prank(buyer);
        escrow.withdraw(address(0));
        assert(buyer.balance == due && escrow.credit(buyer, address(0)) == 0);
        assert(escrow.held(address(0)) == address(escrow).balance);
        vm.prank(buyer);
        (bool again,) = address(escrow).call(abi.encodeCall(escrow.withdraw, address(0)));
        assert(!again);
    }

    function _termsWith(Amounts memory m) private view returns (IAgreement.Terms memory terms) {
        vm.assume(m.penalty <= m.bond && m.previewFee <= m.bond);
        // More than there is of any money; halmos itself takes no balance for larger than 2^128.
        vm.assume(m.price < 1 << 120 && m.buyerBond < 1 << 120 && m.bond < 1 << 120 && m.contestFee < 1 << 120);
        // Four accounts: to halmos an address made of a key is any.
        vm.assume(buyer != seller && buyer != address(0xdEaD) && seller != address(0xdEaD));
        vm.assume(buyer != address(escrow) && seller != address(escrow));
        terms = _optimistic(address(0));
        terms.previewShards = 0;
        (terms.price, terms.buyerBond, terms.bond) = (m.price, m.buyerBond, m.bond);
        (terms.penalty, terms.previewFee, terms.contestFee) = (m.penalty, m.previewFee, m.contestFee);
    }

    function _acceptedWith(Amounts memory m) private returns (bytes32 id) {
        IAgreement.Terms memory terms = _termsWith(m);
        vm.deal(buyer, uint256(m.price) + m.buyerBond);
        vm.deal(seller, m.bond);
        vm.prank(buyer);
        id = escrow.open{value: uint256(m.price) + m.buyerBond}(terms);
        vm.prank(seller);
        escrow.accept{value: m.bond}(id);
    }

    function _acknowledged(Amounts memory m) private returns (bytes32 id) {
        id = _acceptedWith(m);
        vm.prank(seller);
        escrow.acknowledge(id, CIPHERTEXT, "");
    }

    function _credits(Amounts memory m, uint256 toBuyer, uint256 toSeller) private view {
        assert(escrow.credit(buyer, address(0)) == toBuyer);
        assert(escrow.credit(seller, address(0)) == toSeller);
        assert(toBuyer + toSeller == uint256(m.price) + m.buyerBond + m.bond);
        assert(address(escrow).balance == toBuyer + toSeller && escrow.held(address(0)) == toBuyer + toSeller);
    }
}
