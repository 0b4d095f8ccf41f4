// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {SumTree} from "../src/SumTree.sol";
import {Scene} from "./Scene.sol";

/// @title stories.json, replayed against the contract: once in ether, once in a token.
contract ScenariosTest is Scene {
    struct Wealth {
        uint256[3] wallet;
        uint256[4] credit;
        uint256 held;
    }

    error UnknownName(string name);

    bytes32 private _id;
    string private _machine = vm.readFile("vectors/machine.json");

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
        _isTrue(i >= 60, "number of scenarios");
    }

    /// @dev A call of its own, so that each scenario starts from the scene and with empty memory.
    function replay(uint256 i, bool ether_) external {
        setUp();
        IAgreement.Terms memory terms = _readScenario(i, ether_ ? address(0) : address(token));
        _id = escrow.agreementIdOf(buyer, 0, terms);
        uint256 j = 0;
        for (; vm.keyExistsJson(_json(), _path(i, _step(j, ""))); ++j) {
            this.judge(i, j, terms);
        }
        _isTrue(j > 0, "number of steps");
    }

    /// @dev One step: the call ends as expected, the state follows, and only the named money moves.
    function judge(uint256 i, uint256 j, IAgreement.Terms calldata terms) external {
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
    function _outcome(uint256 i, uint256 j, IAgreement.Terms calldata terms) private returns (bytes32) {
        (uint256 value, bytes memory data) = _call(i, j, terms);
        vm.prank(_person(_text(i, _step(j, "actor"))));
        (bool success, bytes memory answer) = address(escrow).call{value: value}(data);
        return success ? bytes32(0) : bytes32(bytes4(answer));
    }

    function _checkMoves(uint256 i, uint256 j, Wealth memory before, address money, string memory where) private view {
        Wealth memory found = _wealth(money);
        int256 moved = 0;
        for (uint256 p = 0; p < 4; ++p) {
            string memory delta = string.concat("deltas.", ["buyer", "seller", "stranger", "nobody"][p]);
            int256 credit = vm.parseJsonInt(_json(), _path(i, _step(j, string.concat(delta, ".credit"))));
            _eq(found.credit[p], uint256(int256(before.credit[p]) + credit), where);
            if (p == 3) continue;
            int256 wallet = vm.parseJsonInt(_json(), _path(i, _step(j, string.concat(delta, ".wallet"))));
            _eq(found.wallet[p], uint256(int256(before.wallet[p]) + wallet), where);
            moved += wallet;
        }
        _eq(found.held, uint256(int256(before.held) - moved), where);
        _eq(money == address(0) ? address(escrow).balance : token.balanceOf(address(escrow)), found.held, where);
    }

    function _readScenario(uint256 i, address money) private returns (IAgreement.Terms memory terms) {
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
        terms.previewShards = uint32(_number(i, "terms.previewShards"));
        terms.metric = _same(_text(i, "terms.metric"), "topk") ? IAgreement.Metric.TopK : IAgreement.Metric.Top1;
        terms.mode = _same(_text(i, "terms.mode"), "eager") ? IAgreement.Mode.Eager : IAgreement.Mode.Optimistic;
        _readAmounts(i, terms);
        _readTimes(i, terms);
    }

    function _readAmounts(uint256 i, IAgreement.Terms memory terms) private view {
        terms.price = uint128(_number(i, "terms.price"));
        terms.buyerBond = uint128(_number(i, "terms.buyerBond"));
        terms.bond = uint128(_number(i, "terms.bond"));
        terms.penalty = uint128(_number(i, "terms.penalty"));
        terms.previewFee = uint128(_number(i, "terms.previewFee"));
        terms.contestFee = uint128(_number(i, "terms.contestFee"));
    }

    function _readTimes(uint256 i, IAgreement.Terms memory terms) private view {
        terms.acceptBy = uint48(_number(i, "terms.acceptBy"));
        terms.previewBy = uint48(_number(i, "terms.previewBy"));
        terms.deliverBy = uint48(_number(i, "terms.deliverBy"));
        terms.claimBy = uint48(_number(i, "terms.claimBy"));
        terms.responseTime = uint32(_number(i, "terms.responseTime"));
        terms.window = uint32(_number(i, "terms.window"));
        terms.proveTime = uint32(_number(i, "terms.proveTime"));
    }

    function _call(uint256 i, uint256 j, IAgreement.Terms calldata terms)
        private
        view
        returns (uint256 value, bytes memory data)
    {
        string memory name = _text(i, _step(j, "event"));
        if (_same(name, "open") || _same(name, "accept") || _same(name, "contest")) {
            value = terms.token == address(0) ? _number(i, _step(j, "args.value")) : 0;
        }
        if (_same(name, "open")) data = abi.encodeCall(escrow.open, terms);
        else if (_same(name, "accept")) data = abi.encodeCall(escrow.accept, _id);
        else if (_same(name, "cancel")) data = abi.encodeCall(escrow.cancel, _id);
        else if (_same(name, "draw")) data = abi.encodeCall(escrow.draw, _id);
        else if (_same(name, "send")) data = abi.encodeCall(escrow.send, (_id, CIPHERTEXT));
        else if (_same(name, "decline")) data = abi.encodeCall(escrow.decline, _id);
        else if (_same(name, "deny")) data = abi.encodeCall(escrow.deny, _id);
        else if (_same(name, "expire")) data = abi.encodeCall(escrow.expire, _id);
        else if (_same(name, "withdraw")) data = abi.encodeCall(escrow.withdraw, terms.token);
        else data = _laterCall(i, j, name);
    }

    function _laterCall(uint256 i, uint256 j, string memory name) private view returns (bytes memory) {
        if (_same(name, "proceed")) {
            bytes memory signature = _signature(i, j, escrow.previewDigest(_id, CIPHERTEXT));
            return abi.encodeCall(escrow.proceed, (_id, CIPHERTEXT, signature));
        } else if (_same(name, "acknowledge")) {
            bytes memory signature = _signature(i, j, escrow.receiptDigest(_id, CIPHERTEXT));
            return abi.encodeCall(escrow.acknowledge, (_id, CIPHERTEXT, signature));
        } else if (_same(name, "approve")) {
            bytes32 digest = escrow.approvalDigest(_id, escrow.agreement(_id).claimRoot);
            return abi.encodeCall(escrow.approve, (_id, _signature(i, j, digest)));
        } else if (_same(name, "contest")) {
            return abi.encodeCall(escrow.contest, (_id, uint32(_number(i, _step(j, "args.index")))));
        } else if (_same(name, "claim")) {
            SumTree.Node memory top = _sumNode(_counted(i, j), 0, _height());
            return abi.encodeCall(escrow.claim, (_id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128)));
        } else if (_same(name, "answer")) {
            return _answerCall(i, j);
        } else if (_same(name, "proveShard")) {
            return _proveCall(i, j);
        }
        revert UnknownName(name);
    }

    /// @dev Every shard with the counts of a claim, some of them with a proof that the verifier rejects.
    function _counted(uint256 i, uint256 j) private view returns (IAgreement.ShardProof[] memory counts) {
        counts = new IAgreement.ShardProof[](dataset.length);
        for (uint32 k = 0; k < counts.length; ++k) {
            string memory key = string.concat("args.counts[", vm.toString(k), "]");
            uint256[] memory right = vm.parseJsonUintArray(_json(), _path(i, _step(j, key)));
            counts[k] = _shardProof(_id, IAgreement.Shard(k, dataset[k], uint32(right[0]), uint32(right[1])));
        }
        uint256[] memory rejected = vm.parseJsonUintArray(_json(), _path(i, _step(j, "args.rejected")));
        for (uint256 k = 0; k < rejected.length; ++k) {
            counts[rejected[k]].proof[0] ^= 0x01;
        }
    }

    function _answerCall(uint256 i, uint256 j) private view returns (bytes memory) {
        IAgreement.ShardProof[] memory counts = _counted(i, j);
        uint32 index = uint32(_number(i, _step(j, "args.index")));
        IAgreement.ShardProof memory shown;
        if (index < counts.length) shown = counts[index];
        else shown.shard.index = index;
        return abi.encodeCall(escrow.answer, (_id, shown, _sumPath(counts, index < counts.length ? index : 0)));
    }

    function _proveCall(uint256 i, uint256 j) private view returns (bytes memory) {
        IAgreement.Shard memory shard = IAgreement.Shard({
            index: uint32(_number(i, _step(j, "args.index"))),
            valid: uint32(_number(i, _step(j, "args.valid"))),
            top1: uint32(_number(i, _step(j, "args.top1"))),
            topk: uint32(_number(i, _step(j, "args.topk")))
        });
        IAgreement.ShardProof memory shown = _shardProof(_id, shard);
        if (!vm.parseJsonBool(_json(), _path(i, _step(j, "args.accepted")))) shown.proof[0] ^= 0x01;
        return abi.encodeCall(escrow.proveShard, (_id, shown));
    }

    /// @dev Nothing when nobody signed.
    function _signature(uint256 i, uint256 j, bytes32 digest) private view returns (bytes memory) {
        string memory signer = _text(i, _step(j, "args.signer"));
        if (bytes(signer).length == 0) return "";
        return _sign(_same(signer, "seller") ? SELLER_KEY : _same(signer, "buyer") ? BUYER_KEY : 0xbad, digest);
    }

    function _wealth(address money) private view returns (Wealth memory w) {
        address[3] memory people = [buyer, seller, stranger];
        for (uint256 p = 0; p < 3; ++p) {
            w.wallet[p] = money == address(0) ? people[p].balance : token.balanceOf(people[p]);
            w.credit[p] = escrow.credit(people[p], money);
        }
        w.credit[3] = escrow.credit(address(0xdEaD), money);
        w.held = escrow.held(money);
    }

    function _person(string memory name) private view returns (address) {
        bytes32 who = keccak256(bytes(name));
        if (who == keccak256("buyer")) return buyer;
        if (who == keccak256("seller")) return seller;
        if (who == keccak256("stranger")) return stranger;
        revert UnknownName(name);
    }

    function _state(string memory name) private view returns (uint256) {
        for (uint256 s = 0; s < 16; ++s) {
            string memory key = string.concat(".states[", vm.toString(s), "]");
            if (_same(vm.parseJsonString(_machine, key), name)) return s;
        }
        revert UnknownName(name);
    }

    /// @dev The selector of the error of this name.
    function _selector(string memory name) private pure returns (bytes32) {
        if (bytes(name).length == 0) return bytes32(0);
        string[35] memory signatures = [
            "UnknownModel(bytes32)",
            "ModelNotEarlier(uint48,uint256)",
            "ModelRetiring(bytes32,uint48)",
            "TokenWithoutCode(address)",
            "PenaltyAboveBond(uint128,uint128)",
            "PreviewFeeAboveBond(uint128,uint128)",
            "ShardsOutOfRange(uint32,uint32)",
            "PreviewAboveShards(uint32,uint32)",
            "ThresholdAboveSamples(uint32,uint32)",
            "DeadlinesOutOfOrder(uint256,uint48,uint48,uint48,uint48)",
            "NoTimeToContest(uint32,uint32)",
            "AgreementTooLong(uint256,uint256)",
            "UnknownAgreement(bytes32)",
            "WrongState(uint8)",
            "WrongMode(uint8)",
            "OnlyBuyer(address,address)",
            "OnlySeller(address,address)",
            "TooLate(uint48,uint256)",
            "TooEarly(uint48,uint256)",
            "NotSigned(bytes32,address)",
            "DrawTooEarly(uint48,uint256)",
            "DrawTooLate(uint48,uint256)",
            "ShardOutOfRange(uint32,uint32)",
            "ShardAlreadyProven(uint32)",
            "ShardAlreadyContested(uint32)",
            "ShardNotContested(uint32)",
            "CountAboveValid(uint32,uint32)",
            "ClaimAboveSamples(uint32,uint32)",
            "ShardNotInDataset(bytes32,bytes32)",
            "ShardNotInClaim(bytes32,bytes32)",
            "ModelPointsMismatch(bytes32,bytes32)",
            "ProofRejected(uint32)",
            "SamplesMismatch(uint32,uint256)",
            "WrongValue(uint256,uint256)",
            "NothingToWithdraw(address,address)"
        ];
        bytes memory wanted = bytes(name);
        for (uint256 e = 0; e < signatures.length; ++e) {
            bytes memory signature = bytes(signatures[e]);
            bool same = signature.length > wanted.length && signature[wanted.length] == "(";
            for (uint256 c = 0; same && c < wanted.length; ++c) {
                same = signature[c] == wanted[c];
            }
            if (same) return bytes32(bytes4(keccak256(signature)));
        }
        revert UnknownName(name);
    }

    function _same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function _json() private view returns (string memory) {
        return vm.readFile("vectors/stories.json");
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
