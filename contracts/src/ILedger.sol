// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Deposits in, credits out.
/// @notice For every token: held = deposits locked in live agreements + credits not yet withdrawn <= balance
/// (more only if someone gives money away by sending it without a deposit). address(0) is ether.
interface ILedger {
    event Credited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, uint256 amount);

    /// @notice Send exactly `expected` wei (0 for tokens).
    error WrongValue(uint256 expected, uint256 found);
    /// @notice The token moved another amount than asked: it takes a fee or mints, and cannot be escrowed.
    error DepositMismatch(uint256 expected, uint256 received);
    error NothingToWithdraw(address account, address token);
    error EtherRefused(address to);

    /// @notice Pays the caller everything credited to it in `token`.
    function withdraw(address token) external;

    /// @notice What `account` may withdraw.
    function credit(address account, address token) external view returns (uint256);

    /// @notice Everything owed in `token`: locked deposits and credits.
    function held(address token) external view returns (uint256);
}
