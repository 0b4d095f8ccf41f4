// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ILedger} from "../src/ILedger.sol";
import {World} from "./World.sol";

/// @title Stories of the shared vectors (vectors/README.md), replayed against a contract: once in ether, once in a token.
abstract contract Stories is World {
    struct Wealth {
        uint256[3] wallet;
        uint256[4] credit;
        uint256 held;
    }

    error UnknownName(string name);

    string private _file;
    string private _machine;
    /// The story that is told.
    string private _story;
    /// Its money.
    address internal _money;
    /// What it is about.
    bytes32 internal _id;

    constructor(string memory file, string memory machine) {
        _file = file;
        _machine = vm.readFile(machine);
    }

    // ---- what a contract has of its own

    /// @dev The story's terms over `_money` and `_model()`, and `_id`.
    function _begin() internal virtual;

    /// @dev The call of step `j` named `name`.
    function _call(string memory j, string memory name) internal view virtual returns (bytes memory);

    function _state() internal view virtual returns (uint256);

    /// @dev What a story calls the people.
    function _names() internal pure virtual returns (string[3] memory) {
        return ["buyer", "seller", "stranger"];
    }

    // ---- one story after the other

    function test_everyStoryInEther() public {
        _replayAll(true);
    }

    function test_everyStoryInTokens() public {
        _replayAll(false);
    }

    function _replayAll(bool ether_) private {
        uint256 told = 0;
        for (string memory line = vm.readLine(_file); bytes(line).length > 0; line = vm.readLine(_file)) {
            this.replay(line, ether_);
            ++told;
        }
        vm.closeFile(_file);
        _eq(told, vm.parseJsonUint(_machine, ".stories"), "number of stories");
    }

    /// @dev A call of its own, so that each story begins anew and with empty memory.
    function replay(string calldata line, bool ether_) external {
        _story = line;
        _setTheStage(ether_);
        _begin();
        uint256 j = 0;
        for (; vm.keyExistsJson(_story, string.concat(".steps[", vm.toString(j), "]")); ++j) {
            this.judge(vm.toString(j));
        }
        _isTrue(j > 0, "number of steps");
    }

    /// @dev The world before the first step.
    function _setTheStage(bool ether_) private {
        setUp();
        _money = ether_ ? address(0) : address(token);
        uint256 retiresAt = _number(".model.retiresAt");
        if (retiresAt != 0) {
            vm.warp(retiresAt - registry.NOTICE_PERIOD());
            vm.prank(seller);
            registry.retire(modelId);
        }
        _eq(registry.model(modelId).registeredBlock, _number(".model.registeredBlock"), "registered block");
    }

    /// @dev One step: the call ends as expected, the state follows, and only the named money moves.
    function judge(string calldata j) external {
        string memory where = string.concat(_text(".name"), ", step ", j);
        string memory rule = _text(_step(j, "expect.error"));
        if (_same(rule, "WrongValue") && _money != address(0)) return;

        vm.warp(_number(_step(j, "time")));
        vm.roll(_number(_step(j, "block")));
        Wealth memory before = _wealth();
        _eq(_outcome(j), _selector(rule), where);
        _eq(_state(), _stateOf(_text(_step(j, "expect.state"))), where);
        _checkMoves(j, before, where);
    }

    /// @dev Makes the call; the selector of the error it ends with, or zero.
    function _outcome(string memory j) private returns (bytes32) {
        string memory name = _text(_step(j, "event"));
        bool pays = _same(name, "open") || _same(name, "accept") || _same(name, "contest");
        uint256 value = pays && _money == address(0) ? _arg(j, "value") : 0;
        bytes memory data = _same(name, "withdraw") ? abi.encodeCall(ILedger.withdraw, _money) : _call(j, name);
        vm.prank(_person(_text(_step(j, "actor"))));
        (bool success, bytes memory answer) = _contract().call{value: value}(data);
        _isTrue(success || answer.length >= 4, "a refusal has a name");
        return success ? bytes32(0) : bytes32(bytes4(answer));
    }

    function _checkMoves(string memory j, Wealth memory before, string memory where) private view {
        Wealth memory found = _wealth();
        string[3] memory names = _names();
        int256 moved = 0;
        for (uint256 p = 0; p < 4; ++p) {
            string memory delta = string.concat("deltas.", p == 3 ? "nobody" : names[p]);
            int256 credit = vm.parseJsonInt(_story, _step(j, string.concat(delta, ".credit")));
            _eq(found.credit[p], uint256(int256(before.credit[p]) + credit), where);
            if (p == 3) continue;
            int256 wallet = vm.parseJsonInt(_story, _step(j, string.concat(delta, ".wallet")));
            _eq(found.wallet[p], uint256(int256(before.wallet[p]) + wallet), where);
            moved += wallet;
        }
        _eq(found.held, uint256(int256(before.held) - moved), where);
        _eq(_balance(_money, _contract()), found.held, where);
    }

    function _wealth() private view returns (Wealth memory w) {
        ILedger ledger = ILedger(_contract());
        address[3] memory people = _people();
        for (uint256 p = 0; p < 3; ++p) {
            w.wallet[p] = _balance(_money, people[p]);
            w.credit[p] = ledger.credit(people[p], _money);
        }
        w.credit[3] = ledger.credit(address(0xdEaD), _money);
        w.held = ledger.held(_money);
    }

    // ---- names

    function _person(string memory name) private view returns (address) {
        for (uint256 p = 0; p < 3; ++p) {
            if (_same(_names()[p], name)) return _people()[p];
        }
        revert UnknownName(name);
    }

    function _stateOf(string memory name) private view returns (uint256) {
        string[] memory states = vm.parseJsonStringArray(_machine, ".states");
        for (uint256 s = 0; s < states.length; ++s) {
            if (_same(states[s], name)) return s;
        }
        revert UnknownName(name);
    }

    /// @dev The selector of the contract's error of this name.
    function _selector(string memory name) private view returns (bytes32) {
        if (bytes(name).length == 0) return bytes32(0);
        return bytes32(vm.parseJsonBytes(_machine, string.concat(".errors.", name)));
    }

    function _same(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    /// @dev The signature step `j` brings; nothing where nobody signed.
    function _signature(string memory j, bytes32 digest) internal view returns (bytes memory) {
        string memory signer = _text(_step(j, "args.signer"));
        if (bytes(signer).length == 0) return "";
        string[3] memory names = _names();
        uint256 key = _same(signer, names[0]) ? BUYER_KEY : _same(signer, names[1]) ? SELLER_KEY : 0xbad;
        return _sign(key, digest);
    }

    // ---- the story's values

    /// @dev The model it is about; one the registry does not know where it says so.
    function _model() internal view returns (bytes32) {
        return _truth(".model.registered") ? modelId : keccak256("unknown");
    }

    function _step(string memory j, string memory rest) internal pure returns (string memory) {
        return string.concat(".steps[", j, "].", rest);
    }

    function _arg(string memory j, string memory name) internal view returns (uint256) {
        return _number(string.concat(".steps[", j, "].args.", name));
    }

    function _number(string memory path) internal view returns (uint256) {
        return vm.parseJsonUint(_story, path);
    }

    function _numbers(string memory path) internal view returns (uint256[] memory) {
        return vm.parseJsonUintArray(_story, path);
    }

    function _text(string memory path) internal view returns (string memory) {
        return vm.parseJsonString(_story, path);
    }

    function _truth(string memory path) internal view returns (bool) {
        return vm.parseJsonBool(_story, path);
    }
}
