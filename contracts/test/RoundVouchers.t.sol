// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {IPredictions} from "../src/IPredictions.sol";
import {SigningAccount} from "./mocks/Accounts.sol";
import {RoundScene} from "./RoundScene.sol";

/// @title What closes a round: whose signature counts, for what, and for how long.
contract RoundVouchersTest is RoundScene {
    function test_whatClosesARound() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes32 twin = _serving(_terms(ETHER));
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        bytes memory unsigned = abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer);
        vm.startPrank(seller);
        vm.expectRevert(unsigned);
        rounds.close(id, 8, voucher);
        vm.expectRevert(unsigned);
        rounds.close(id, 7, "");
        // The voucher of another round, an approval for a voucher.
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, twin, buyer));
        rounds.close(twin, 7, voucher);
        bytes memory approval = _sign(BUYER_KEY, rounds.approvalDigest(id, 7));
        vm.expectRevert(unsigned);
        rounds.close(id, 7, approval);
        bytes memory much = _sign(BUYER_KEY, rounds.voucherDigest(id, 11));
        vm.expectRevert(abi.encodeWithSelector(IPredictions.CountAboveBatches.selector, 11, 10));
        rounds.close(id, 11, much);
        vm.warp(3001);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, 3000, 3001));
        rounds.close(id, 7, voucher);
        vm.warp(3000);
        rounds.close(id, 7, voucher);
        // Only once.
        vm.expectRevert(_wrongState(IPredictions.State.Closed));
        rounds.close(id, 7, voucher);
        vm.stopPrank();
    }

    function test_vouchersOfOtherChains() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        vm.chainId(block.chainid + 1);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
        vm.prank(seller);
        rounds.close(id, 7, voucher);
    }

    /// @dev An account gets code after it signed (EIP-7702), which disowns everything: what its key signed still counts.
    function test_delegationsTakeNothingBack() public {
        bytes32 id = _serving(_terms(ETHER));
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, 7));
        vm.etch(buyer, abi.encodePacked(hex"ef0100", address(new SigningAccount())));
        vm.prank(seller);
        rounds.close(id, 7, voucher);
        vm.etch(seller, abi.encodePacked(hex"ef0100", address(new SigningAccount())));
        _contest(id, 3, 0);
        _is(id, IPredictions.State.Contested);
        vm.etch(buyer, "");
        // Signed by somebody else it is nothing, delegation or not.
        IPredictions.Prediction memory p = _prediction(4, 0);
        bytes memory forged = _sign(BUYER_KEY, rounds.predictionDigest(id, p));
        _refusedContest(id, buyer, p, forged, abi.encodeWithSelector(IDeal.NotSigned.selector, id, seller));
        vm.warp(T0 + 301);
        rounds.expire(id);
        _is(id, IPredictions.State.Slashed);
    }

    /// @dev A contract buys, but has no key: it can approve by itself, its vouchers (ERC-1271) are worth nothing.
    function test_contractBuyer() public {
        SigningAccount account = new SigningAccount();
        vm.deal(address(account), 1000);
        bytes memory call = abi.encodeCall(rounds.open, (1, _terms(ETHER)));
        bytes32 id = abi.decode(account.act(address(rounds), 1000, call), (bytes32));
        vm.prank(seller);
        rounds.accept{value: 5000}(id);
        account.sign(rounds.voucherDigest(id, 2));
        vm.startPrank(seller);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, address(account)));
        rounds.close(id, 2, "");
        rounds.close(id, 0, "");
        vm.stopPrank();
        account.act(address(rounds), 0, abi.encodeCall(rounds.approve, (id, 0, "")));
        _is(id, IPredictions.State.Settled);
        _eq(rounds.credit(address(account), ETHER), 1000, "credit");
    }
}
