// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ILedger} from "./ILedger.sol";

/// @title The only code that moves money: deposits are measured, payments are pulled.
/// @dev No receive function: ether comes in as a deposit or not at all.
abstract contract Ledger is ILedger, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev Stands for ether wherever a token is named.
    address internal constant ETHER = address(0);

    /// @dev Credited with what is burnt. Nobody has its key.
    address private constant NOBODY = 0x000000000000000000000000000000000000dEaD;

    /// @inheritdoc ILedger
    mapping(address account => mapping(address token => uint256)) public credit;
    /// @inheritdoc ILedger
    mapping(address token => uint256) public held;

    /// @inheritdoc ILedger
    function withdraw(address token) external nonReentrant {
        uint256 amount = credit[msg.sender][token];
        if (amount == 0) revert NothingToWithdraw(msg.sender, token);
        credit[msg.sender][token] = 0;
        held[token] -= amount;
        emit Withdrawn(msg.sender, token, amount);
        if (token == ETHER) {
            (bool sent,) = msg.sender.call{value: amount}("");
            if (!sent) revert EtherRefused(msg.sender);
        } else {
            IERC20(token).safeTransfer(msg.sender, amount);
        }
    }

    /// @dev Takes `amount` from the caller. The caller's state is written before: a token may call back. Called by payable
    /// functions only (open, accept, contest), which the analyzer does not see.
    // slither-disable-next-line msg-value-in-nonpayable
    function _deposit(address token, uint256 amount) internal {
        uint256 value = token == ETHER ? amount : 0;
        if (msg.value != value) revert WrongValue(value, msg.value);
        held[token] += amount;
        if (token == ETHER) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert DepositMismatch(amount, received);
    }

    /// @dev Turns a part of the locked deposits into money `account` may withdraw.
    function _credit(address account, address token, uint256 amount) internal {
        if (amount == 0) return;
        credit[account][token] += amount;
        emit Credited(account, token, amount);
    }

    /// @dev A part of the locked deposits that nobody gets.
    function _burn(address token, uint256 amount) internal {
        _credit(NOBODY, token, amount);
    }
}
