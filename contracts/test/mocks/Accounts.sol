// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A contract account: does what it is told, takes ether or not, and may call once when paid.
contract Account {
    bool private _refuses;
    address private _target;
    bytes private _data;
    bool public called;
    bool public succeeded;
    bytes public answer;

    error NoThanks();

    receive() external payable {
        if (_refuses) revert NoThanks();
        if (_target != address(0)) (called, (succeeded, answer)) = (true, _target.call(_data));
    }

    function refuse(bool on) external {
        _refuses = on;
    }

    function arm(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function act(address target, uint256 value, bytes calldata data) external returns (bytes memory) {
        (bool ok, bytes memory out) = target.call{value: value}(data);
        if (!ok) {
            // The callee's error is the caller's error.
            assembly {
                revert(add(out, 32), mload(out))
            }
        }
        return out;
    }
}

/// @title A contract account whose signature is one agreed hash (ERC-1271).
contract SigningAccount is Account {
    bytes32 private _signed;

    function sign(bytes32 digest) external {
        _signed = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _signed ? this.isValidSignature.selector : bytes4(0);
    }
}
