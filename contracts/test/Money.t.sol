// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IAgreement} from "../src/IAgreement.sol";
import {ILedger} from "../src/ILedger.sol";
import {Account, SigningAccount} from "./mocks/Accounts.sol";
import {CallbackToken, FalseToken, FeeToken, SilentToken, TestToken} from "./mocks/Tokens.sol";
import {Scene} from "./Scene.sol";

/// @title Ether, tokens, and tokens and receivers that misbehave.
contract MoneyTest is Scene {
    /// @dev Eager, and with no money but price, bond and penalty.
    function _plain(address money) private view returns (IAgreement.Terms memory terms) {
        terms = _terms(money);
        (terms.buyerBond, terms.previewFee) = (0, 0);
    }

    function test_depositsAndPaymentsTell() public {
        bytes32 id = _accepted(_plain(address(token)));
        _owes(address(token), 0, 0, 1500);
        vm.expectEmit(address(escrow));
        emit ILedger.Credited(buyer, address(token), 1000);
        vm.expectEmit(address(escrow));
        emit ILedger.Credited(seller, address(token), 500);
        vm.prank(seller);
        escrow.decline(id);
        _owes(address(token), 1000, 500, 1500);
        vm.expectEmit(address(escrow));
        emit ILedger.Withdrawn(buyer, address(token), 1000);
        vm.prank(buyer);
        escrow.withdraw(address(token));
        _owes(address(token), 0, 500, 500);
        _eq(token.balanceOf(buyer), WEALTH, "buyer whole again");
    }

    function test_etherAndTokensAreApart() public {
        bytes32 inEther = _open(_plain(address(0)));
        bytes32 inTokens = _open(_plain(address(token)));
        vm.startPrank(buyer);
        escrow.cancel(inEther);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NothingToWithdraw.selector, buyer, address(token)));
        escrow.withdraw(address(token));
        escrow.withdraw(address(0));
        vm.stopPrank();
        _eq(buyer.balance, WEALTH, "ether back");
        _eq(escrow.held(address(token)), 1000, "tokens held");
        _is(inTokens, IAgreement.State.Open);
    }

    function test_creditsAddUp() public {
        bytes32 one = _open(_plain(address(0)));
        bytes32 two = _open(_plain(address(0)));
        _isTrue(one != two, "same terms, two agreements");
        vm.startPrank(buyer);
        escrow.cancel(one);
        escrow.cancel(two);
        escrow.withdraw(address(0));
        _eq(buyer.balance, WEALTH, "both back");
    }

    function test_etherWithATokenAgreement() public {
        IAgreement.Terms memory terms = _plain(address(token));
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(ILedger.WrongValue.selector, 0, 1));
        escrow.open{value: 1}(terms);
        bytes32 id = _open(terms);
        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(ILedger.WrongValue.selector, 0, 1));
        escrow.accept{value: 1}(id);
    }

    function test_plainEtherIsRefused() public {
        (bool success,) = address(escrow).call{value: 1}("");
        _isTrue(!success, "escrow");
        (success,) = address(registry).call{value: 1}("");
        _isTrue(!success, "registry");
    }

    function test_tokenWithoutCode() public {
        IAgreement.Terms memory terms = _plain(stranger);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TokenWithoutCode.selector, stranger));
        vm.prank(buyer);
        escrow.open(terms);
    }

    function test_tokensNotApprovedOrNotOwned() public {
        IAgreement.Terms memory terms = _plain(address(token));
        vm.startPrank(buyer);
        token.approve(address(escrow), 999);
        _fails(abi.encodeCall(escrow.open, terms));
        token.approve(address(escrow), type(uint256).max);
        token.transfer(stranger, WEALTH - 999);
        _fails(abi.encodeCall(escrow.open, terms));
        vm.stopPrank();
        _eq(escrow.held(address(token)), 0, "held");
        _eq(escrow.nonces(buyer), 0, "nonce");
    }

    function test_tokenWithAFeeIsRefused() public {
        FeeToken fee = new FeeToken();
        IAgreement.Terms memory terms = _endow(fee);
        vm.expectRevert(abi.encodeWithSelector(ILedger.DepositMismatch.selector, 1000, 990));
        vm.prank(buyer);
        escrow.open(terms);
        // Below the smallest fee nothing is taken, and the rest of the road is open.
        (terms.price, terms.bond, terms.penalty) = (99, 100, 0);
        bytes32 id = _open(terms);
        vm.expectRevert(abi.encodeWithSelector(ILedger.DepositMismatch.selector, 100, 99));
        vm.prank(seller);
        escrow.accept(id);
        _eq(escrow.held(address(fee)), 99, "held");
    }

    function test_tokenThatReturnsFalse() public {
        FalseToken lazy = new FalseToken();
        IAgreement.Terms memory terms = _endow(lazy);
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(lazy));
        lazy.sulk(true);
        vm.expectRevert(failed);
        vm.prank(buyer);
        escrow.open(terms);

        lazy.sulk(false);
        bytes32 id = _open(terms);
        vm.startPrank(buyer);
        escrow.cancel(id);
        lazy.sulk(true);
        vm.expectRevert(failed);
        escrow.withdraw(address(lazy));
        _eq(escrow.credit(buyer, address(lazy)), 1000, "credit kept");
        lazy.sulk(false);
        escrow.withdraw(address(lazy));
        vm.stopPrank();
        _eq(lazy.balanceOf(buyer), WEALTH, "all back");
    }

    function test_tokenThatReturnsNothing() public {
        SilentToken silent = new SilentToken();
        silent.mint(buyer, 1000);
        bytes32 id = _open(_plain(address(silent)));
        vm.startPrank(buyer);
        escrow.cancel(id);
        escrow.withdraw(address(silent));
        vm.stopPrank();
        _eq(silent.balanceOf(buyer), 1000, "all back");
    }

    function test_tokenThatCallsBack() public {
        CallbackToken hook = new CallbackToken();
        IAgreement.Terms memory terms = _endow(hook);
        bytes32 id = escrow.agreementIdOf(buyer, 0, terms);
        // While the price is on its way, every door is shut.
        bytes[4] memory calls = [
            abi.encodeCall(escrow.withdraw, address(hook)),
            abi.encodeCall(escrow.cancel, id),
            abi.encodeCall(escrow.open, terms),
            abi.encodeCall(escrow.expire, id)
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            hook.arm(address(escrow), calls[i]);
            _open(terms);
            _isTrue(hook.called() && !hook.succeeded(), "refused");
            bytes4 why = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
            _eq(bytes32(bytes4(hook.answer())), bytes32(why), "why");
        }
        _eq(hook.balanceOf(address(escrow)), 4000, "balance");
        _eq(escrow.held(address(hook)), 4000, "held");
    }

    function test_withdrawalPaysOnceUnderReentry() public {
        Account account = _contractBuyerWithCredit();
        _open(_plain(address(0))); // somebody else's money to steal
        bytes memory call_ = abi.encodeCall(escrow.withdraw, address(0));
        account.arm(address(escrow), call_);
        account.act(address(escrow), 0, call_);
        _isTrue(account.called() && !account.succeeded(), "re-entered and refused");
        _eq(address(account).balance, 1000, "paid once");
        _eq(address(escrow).balance, 1000, "the other's price");
    }

    function test_receiverWhoRefusesEtherHurtsOnlyItself() public {
        Account account = _contractBuyerWithCredit();
        account.refuse(true);
        bytes memory call_ = abi.encodeCall(escrow.withdraw, address(0));
        vm.expectRevert(abi.encodeWithSelector(ILedger.EtherRefused.selector, address(account)));
        account.act(address(escrow), 0, call_);
        _eq(escrow.credit(address(account), address(0)), 1000, "credit kept");
        account.refuse(false);
        account.act(address(escrow), 0, call_);
        _eq(address(account).balance, 1000, "paid later");
    }

    /// @dev A settlement does not call the parties: a buyer who refuses ether cannot keep the seller from its money.
    function test_settlementDoesNotNeedTheReceivers() public {
        Account account = new Account();
        vm.deal(address(account), 1000);
        IAgreement.Terms memory terms = _plain(address(0));
        bytes32 id = abi.decode(account.act(address(escrow), 1000, abi.encodeCall(escrow.open, terms)), (bytes32));
        account.refuse(true);
        vm.startPrank(seller);
        escrow.accept{value: 500}(id);
        escrow.acknowledge(id, CIPHERTEXT, "");
        _proveAll(id, 3);
        escrow.withdraw(address(0));
        vm.stopPrank();
        _eq(escrow.credit(address(account), address(0)), 1200, "buyer's credit");
        _eq(seller.balance, WEALTH - 200, "seller paid the penalty and no more");
    }

    function test_contractSellerSignsReceipts() public {
        SigningAccount account = new SigningAccount();
        (seller, modelId) = (address(account), _registerAs(account));
        vm.roll(block.number + 1);
        IAgreement.Terms memory terms = _plain(address(0));
        terms.bond = 0;
        terms.penalty = 0;
        bytes32 id = _open(terms);
        account.act(address(escrow), 0, abi.encodeCall(escrow.accept, id));
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, seller));
        escrow.acknowledge(id, CIPHERTEXT, "");
        account.sign(escrow.receiptDigest(id, CIPHERTEXT));
        escrow.acknowledge(id, CIPHERTEXT, "");
        _is(id, IAgreement.State.Delivered);
    }

    function test_receiptIsForOneAgreementAndOneCiphertext() public {
        bytes32 one = _accepted(_plain(address(0)));
        bytes32 two = _accepted(_plain(address(0)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SELLER_KEY, escrow.receiptDigest(one, CIPHERTEXT));
        bytes memory signature = abi.encodePacked(r, s, v);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, two, seller));
        escrow.acknowledge(two, CIPHERTEXT, signature);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, one, seller));
        escrow.acknowledge(one, keccak256("other"), signature);
        vm.expectEmit(address(escrow));
        emit IAgreement.Acknowledged(one, CIPHERTEXT);
        escrow.acknowledge(one, CIPHERTEXT, signature);
        _eq(escrow.agreement(one).ciphertextHash, CIPHERTEXT, "stored");
    }

    function _endow(TestToken money) private returns (IAgreement.Terms memory) {
        for (uint256 i = 0; i < 2; ++i) {
            address who = [buyer, seller][i];
            money.mint(who, WEALTH);
            vm.prank(who);
            money.approve(address(escrow), type(uint256).max);
        }
        return _plain(address(money));
    }

    function _contractBuyerWithCredit() private returns (Account account) {
        account = new Account();
        vm.deal(address(account), 1000);
        IAgreement.Terms memory terms = _plain(address(0));
        bytes32 id = abi.decode(account.act(address(escrow), 1000, abi.encodeCall(escrow.open, terms)), (bytes32));
        account.act(address(escrow), 0, abi.encodeCall(escrow.cancel, id));
    }

    function _registerAs(Account account) private returns (bytes32) {
        vm.deal(address(account), 1);
        bytes memory call_ = abi.encodeCall(registry.register, (ARCHITECTURE, verifier, modelPoints, 2, ""));
        return abi.decode(account.act(address(registry), 1, call_), (bytes32));
    }

    function _fails(bytes memory call_) private {
        (bool success,) = address(escrow).call(call_);
        _isTrue(!success, "must fail");
    }
}
