// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEscrow} from "../src/IEscrow.sol";
import {ILedger} from "../src/ILedger.sol";
import {Scene} from "./Scene.sol";

/// @title agreement.json, replayed against the contract: once in ether, once in a token.
contract ScenariosTest is Scene {
    struct Wealth {
        uint256[3] wallet;
        uint256[3] credit;
        uint256 held;
    }

    error UnknownName(string name);

    bytes32 private _id;

    function test_everyScenarioInEther() public {
        _replayAll(true);
    }

    function test_everyScenarioInTokens() public {
        _replayAll(false);
    }

    function _replayAll(bool ether_) private {
        uint256 i = 0;
        for (; vm.keyExistsJson(_json(), _path(i, "")); ++i) {
            this.replay(i, ether_);
        }
        _isTrue(i >= 40, "number of scenarios");
    }

    /// @dev A call of its own, so that each scenario starts from the scene and with empty memory.
    function replay(uint256 i, bool ether_) external {
        setUp();
        IEscrow.Terms memory terms = _readScenario(i, ether_ ? address(0) : address(token));
        _id = escrow.agreementIdOf(buyer, 0, terms);
        uint256 j = 0;
        for (; vm.keyExistsJson(_json(), _path(i, _step(j, ""))); ++j) {
            this.judge(i, j, terms);
        }
        _isTrue(j > 0, "number of steps");
    }

    /// @dev One step: the call ends as expected, the state follows, and only the named money moves.
    function judge(uint256 i, uint256 j, IEscrow.Terms calldata terms) external {
        string memory where = string.concat(_text(i, "name"), ", step ", vm.toString(j));
        string memory rule = _text(i, _step(j, "expect.error"));
        bool aboutValue = keccak256(bytes(rule)) == keccak256("WrongValue");
        if (aboutValue && terms.token != address(0)) return;

        vm.warp(_number(i, _step(j, "time")));
        vm.roll(_number(i, _step(j, "block")));
        Wealth memory before = _wealth(terms.token);
        _eq(_outcome(i, j, terms), _selector(rule), where);
        uint256 state = _state(_text(i, _step(j, "expect.state")));
        _eq(uint256(escrow.agreement(_id).state), state, where);
        _checkMoves(i, j, before, terms.token, where);
    }

    /// @dev Makes the call; the selector of the error it ends with, or zero.
    function _outcome(uint256 i, uint256 j, IEscrow.Terms calldata terms) private returns (bytes32) {
        (uint256 value, bytes memory data) = _call(i, j, terms);
        vm.prank(_person(_text(i, _step(j, "actor"))));
        (bool success, bytes memory answer) = address(escrow).call{value: value}(data);
        return success ? bytes32(0) : bytes32(bytes4(answer));
    }

    function _checkMoves(uint256 i, uint256 j, Wealth memory before, address money, string memory where) private view {
        Wealth memory found = _wealth(money);
        int256 moved = 0;
        for (uint256 p = 0; p < 3; ++p) {
            string memory delta = string.concat("deltas.", ["buyer", "seller", "stranger"][p]);
            int256 wallet = vm.parseJsonInt(_json(), _path(i, _step(j, string.concat(delta, ".wallet"))));
            int256 credit = vm.parseJsonInt(_json(), _path(i, _step(j, string.concat(delta, ".credit"))));
            _eq(found.wallet[p], uint256(int256(before.wallet[p]) + wallet), where);
            _eq(found.credit[p], uint256(int256(before.credit[p]) + credit), where);
            moved += wallet;
        }
        _eq(found.held, uint256(int256(before.held) - moved), where);
        _eq(money == address(0) ? address(escrow).balance : token.balanceOf(address(escrow)), found.held, where);
    }

    function _readScenario(uint256 i, address money) private returns (IEscrow.Terms memory terms) {
        uint256[] memory valid = vm.parseJsonUintArray(_json(), _path(i, "dataset"));
        delete dataset;
        for (uint256 s = 0; s < valid.length; ++s) {
            dataset.push(uint32(valid[s]));
        }

        uint256 retiresAt = _number(i, "model.retiresAt");
        if (retiresAt != 0) {
            vm.warp(retiresAt - registry.NOTICE_PERIOD());
            vm.prank(seller);
            registry.retire(modelId);
        }
        _eq(registry.model(modelId).registeredBlock, _number(i, "model.registeredBlock"), "registered block");

        terms = _terms(money);
        if (!vm.parseJsonBool(_json(), _path(i, "model.registered"))) terms.modelId = keccak256("unknown");
        terms.shards = uint32(_number(i, "terms.shards"));
        terms.samples = uint32(_number(i, "terms.samples"));
        terms.threshold = uint32(_number(i, "terms.threshold"));
        terms.price = uint128(_number(i, "terms.price"));
        terms.bond = uint128(_number(i, "terms.bond"));
        terms.penalty = uint128(_number(i, "terms.penalty"));
        terms.acceptBy = uint48(_number(i, "terms.acceptBy"));
        terms.deliverBy = uint48(_number(i, "terms.deliverBy"));
        terms.proveBy = uint48(_number(i, "terms.proveBy"));
        bool topk = keccak256(bytes(_text(i, "terms.metric"))) == keccak256("topk");
        terms.metric = topk ? IEscrow.Metric.TopK : IEscrow.Metric.Top1;
    }

    function _call(uint256 i, uint256 j, IEscrow.Terms calldata terms)
        private
        view
        returns (uint256 value, bytes memory data)
    {
        bytes32 event_ = keccak256(bytes(_text(i, _step(j, "event"))));
        if (event_ == keccak256("open") || event_ == keccak256("accept")) {
            value = terms.token == address(0) ? _number(i, _step(j, "args.value")) : 0;
            data = event_ == keccak256("open") ? abi.encodeCall(escrow.open, terms) : abi.encodeCall(escrow.accept, _id);
        } else if (event_ == keccak256("cancel")) {
            data = abi.encodeCall(escrow.cancel, _id);
        } else if (event_ == keccak256("decline")) {
            data = abi.encodeCall(escrow.decline, _id);
        } else if (event_ == keccak256("slash")) {
            data = abi.encodeCall(escrow.slash, _id);
        } else if (event_ == keccak256("withdraw")) {
            data = abi.encodeCall(escrow.withdraw, terms.token);
        } else if (event_ == keccak256("acknowledge")) {
            data = abi.encodeCall(escrow.acknowledge, (_id, CIPHERTEXT));
        } else if (event_ == keccak256("acknowledgeBySignature")) {
            bool honest = keccak256(bytes(_text(i, _step(j, "args.signer")))) == keccak256("seller");
            bytes32 digest = escrow.receiptDigest(_id, CIPHERTEXT);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(honest ? SELLER_KEY : 0xb0b, digest);
            data = abi.encodeCall(escrow.acknowledgeBySignature, (_id, CIPHERTEXT, abi.encodePacked(r, s, v)));
        } else if (event_ == keccak256("proveShard")) {
            data = _proveCall(i, j);
        } else {
            revert UnknownName(_text(i, _step(j, "event")));
        }
    }

    function _proveCall(uint256 i, uint256 j) private view returns (bytes memory) {
        IEscrow.Shard memory shard = IEscrow.Shard({
            index: uint32(_number(i, _step(j, "args.index"))),
            valid: uint32(_number(i, _step(j, "args.valid"))),
            top1: uint32(_number(i, _step(j, "args.top1"))),
            topk: uint32(_number(i, _step(j, "args.topk")))
        });
        bytes memory proof = _proof(_id, shard);
        if (!vm.parseJsonBool(_json(), _path(i, _step(j, "args.accepted")))) proof[0] ^= 0x01;
        return abi.encodeCall(
            escrow.proveShard, (_id, shard, modelPoints, _shardPoints(shard.index), _siblings(shard.index), proof)
        );
    }

    function _wealth(address money) private view returns (Wealth memory w) {
        address[3] memory people = [buyer, seller, stranger];
        for (uint256 p = 0; p < 3; ++p) {
            w.wallet[p] = money == address(0) ? people[p].balance : token.balanceOf(people[p]);
            w.credit[p] = escrow.credit(people[p], money);
        }
        w.held = escrow.held(money);
    }

    function _person(string memory name) private view returns (address) {
        bytes32 who = keccak256(bytes(name));
        if (who == keccak256("buyer")) return buyer;
        if (who == keccak256("seller")) return seller;
        if (who == keccak256("stranger")) return stranger;
        revert UnknownName(name);
    }

    function _state(string memory name) private pure returns (uint256) {
        string[8] memory states =
            ["None", "Open", "Accepted", "Delivered", "Cancelled", "Declined", "Settled", "Slashed"];
        for (uint256 s = 0; s < states.length; ++s) {
            if (keccak256(bytes(states[s])) == keccak256(bytes(name))) return s;
        }
        revert UnknownName(name);
    }

    function _selector(string memory name) private pure returns (bytes32) {
        if (bytes(name).length == 0) return bytes32(0);
        string[24] memory names = [
            "UnknownAgreement",
            "WrongState",
            "OnlySeller",
            "TooLate",
            "TooEarly",
            "OnlyBuyerUntil",
            "OnlySellerUntil",
            "ReceiptNotSigned",
            "ShardOutOfRange",
            "ShardAlreadyProven",
            "CountAboveValid",
            "ProofRejected",
            "SamplesMismatch",
            "UnknownModel",
            "ModelNotEarlier",
            "ModelRetiring",
            "PenaltyAboveBond",
            "ShardsOutOfRange",
            "ThresholdAboveSamples",
            "DeadlinesOutOfOrder",
            "AgreementTooLong",
            "WrongValue",
            "NothingToWithdraw",
            "TokenWithoutCode"
        ];
        bytes4[24] memory selectors = [
            IEscrow.UnknownAgreement.selector,
            IEscrow.WrongState.selector,
            IEscrow.OnlySeller.selector,
            IEscrow.TooLate.selector,
            IEscrow.TooEarly.selector,
            IEscrow.OnlyBuyerUntil.selector,
            IEscrow.OnlySellerUntil.selector,
            IEscrow.ReceiptNotSigned.selector,
            IEscrow.ShardOutOfRange.selector,
            IEscrow.ShardAlreadyProven.selector,
            IEscrow.CountAboveValid.selector,
            IEscrow.ProofRejected.selector,
            IEscrow.SamplesMismatch.selector,
            IEscrow.UnknownModel.selector,
            IEscrow.ModelNotEarlier.selector,
            IEscrow.ModelRetiring.selector,
            IEscrow.PenaltyAboveBond.selector,
            IEscrow.ShardsOutOfRange.selector,
            IEscrow.ThresholdAboveSamples.selector,
            IEscrow.DeadlinesOutOfOrder.selector,
            IEscrow.AgreementTooLong.selector,
            ILedger.WrongValue.selector,
            ILedger.NothingToWithdraw.selector,
            IEscrow.TokenWithoutCode.selector
        ];
        for (uint256 e = 0; e < names.length; ++e) {
            if (keccak256(bytes(names[e])) == keccak256(bytes(name))) return bytes32(selectors[e]);
        }
        revert UnknownName(name);
    }

    function _json() private view returns (string memory) {
        return vm.readFile("vectors/agreement.json");
    }

    function _path(uint256 i, string memory rest) private pure returns (string memory) {
        string memory head = string.concat(".scenarios[", vm.toString(i), "]");
        return bytes(rest).length == 0 ? head : string.concat(head, ".", rest);
    }

    function _step(uint256 j, string memory rest) private pure returns (string memory) {
        string memory head = string.concat("steps[", vm.toString(j), "]");
        return bytes(rest).length == 0 ? head : string.concat(head, ".", rest);
    }

    function _number(uint256 i, string memory rest) private view returns (uint256) {
        return vm.parseJsonUint(_json(), _path(i, rest));
    }

    function _text(uint256 i, string memory rest) private view returns (string memory) {
        return vm.parseJsonString(_json(), _path(i, rest));
    }
}
