// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title An honest token anyone may mint; also what demos and end-to-end tests pay with.
contract TestToken is ERC20("zknode test token", "ZKT") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @title Burns one percent of every transfer.
contract FeeToken is TestToken {
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0), amount / 100);
    }
}

/// @title Says "false" instead of moving anything, once told to.
contract FalseToken is TestToken {
    bool public sulking;

    function sulk(bool on) external {
        sulking = on;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !sulking && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !sulking && super.transferFrom(from, to, amount);
    }
}

/// @title Returns nothing at all, like the oldest tokens in use.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @title Calls back in the middle of transferFrom and remembers how that ended.
contract CallbackToken is TestToken {
    address private _target;
    bytes private _data;
    bool public called;
    bool public succeeded;
    bytes public answer;

    function arm(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (_target != address(0)) (called, (succeeded, answer)) = (true, _target.call(_data));
        return super.transferFrom(from, to, amount);
    }
}
