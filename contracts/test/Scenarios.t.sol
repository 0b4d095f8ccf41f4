// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {ShardStories} from "./ShardStories.sol";
import {Stories} from "./Stories.sol";

/// @title stories.jsonl, replayed against the escrow.
contract ScenariosTest is ShardStories {
    IAgreement.Terms private _told;

    constructor() Stories("vectors/stories.jsonl", "vectors/machine.json") {}

    function _begin() internal override {
        _readDataset();
        _told = _readTerms();
        _id = escrow.agreementIdOf(buyer, 0, _told);
    }

    function _readTerms() private view returns (IAgreement.Terms memory terms) {
        terms = _terms(_money);
        terms.modelId = _model();
        terms.shards = uint32(_number(".terms.shards"));
        terms.samples = uint32(_number(".terms.samples"));
        terms.threshold = uint32(_number(".terms.threshold"));
        terms.previewShards = uint32(_number(".terms.previewShards"));
        terms.metric = _same(_text(".terms.metric"), "topk") ? IAgreement.Metric.TopK : IAgreement.Metric.Top1;
        terms.mode = _same(_text(".terms.mode"), "eager") ? IAgreement.Mode.Eager : IAgreement.Mode.Optimistic;
        terms.price = uint128(_number(".terms.price"));
        terms.buyerBond = uint128(_number(".terms.buyerBond"));
        terms.bond = uint128(_number(".terms.bond"));
        terms.penalty = uint128(_number(".terms.penalty"));
        terms.previewFee = uint128(_number(".terms.previewFee"));
        terms.contestFee = uint128(_number(".terms.contestFee"));
        terms.acceptBy = uint48(_number(".terms.acceptBy"));
        terms.previewBy = uint48(_number(".terms.previewBy"));
        terms.deliverBy = uint48(_number(".terms.deliverBy"));
        terms.claimBy = uint48(_number(".terms.claimBy"));
        terms.responseTime = uint32(_number(".terms.responseTime"));
        terms.window = uint32(_number(".terms.window"));
        terms.proveTime = uint32(_number(".terms.proveTime"));
    }

    function _call(string memory j, string memory name) internal view override returns (bytes memory) {
        if (_same(name, "open")) return abi.encodeCall(escrow.open, _told);
        if (_same(name, "cancel")) return abi.encodeCall(escrow.cancel, _id);
        if (_same(name, "accept")) return abi.encodeCall(escrow.accept, _id);
        if (_same(name, "draw")) return abi.encodeCall(escrow.draw, _id);
        if (_same(name, "send")) return abi.encodeCall(escrow.send, (_id, CIPHERTEXT));
        if (_same(name, "decline")) return abi.encodeCall(escrow.decline, _id);
        if (_same(name, "deny")) return abi.encodeCall(escrow.deny, _id);
        if (_same(name, "contest")) return abi.encodeCall(escrow.contest, (_id, uint32(_arg(j, "index"))));
        if (_same(name, "proveShard")) return _proveCall(j);
        if (_same(name, "expire")) return abi.encodeCall(escrow.expire, _id);
        if (_same(name, "claim")) {
            (bytes32 node, uint32 top1, uint32 topk) = _claimTold(j);
            return abi.encodeCall(escrow.claim, (_id, node, top1, topk));
        }
        if (_same(name, "answer")) {
            (IShards.ShardProof memory shown, SumTree.Node[] memory path) = _answerTold(j);
            return abi.encodeCall(escrow.answer, (_id, shown, path));
        }
        return _signedCall(j, name);
    }

    function _signedCall(string memory j, string memory name) private view returns (bytes memory) {
        if (_same(name, "proceed")) {
            bytes memory signature = _signature(j, escrow.previewDigest(_id, CIPHERTEXT));
            return abi.encodeCall(escrow.proceed, (_id, CIPHERTEXT, signature));
        }
        if (_same(name, "acknowledge")) {
            bytes memory signature = _signature(j, escrow.receiptDigest(_id, CIPHERTEXT));
            return abi.encodeCall(escrow.acknowledge, (_id, CIPHERTEXT, signature));
        }
        if (_same(name, "approve")) {
            bytes32 digest = escrow.approvalDigest(_id, escrow.agreement(_id).claimRoot);
            return abi.encodeCall(escrow.approve, (_id, _signature(j, digest)));
        }
        revert UnknownName(name);
    }

    function _proveCall(string memory j) private view returns (bytes memory) {
        IShards.Shard memory shard = IShards.Shard({
            index: uint32(_arg(j, "index")),
            valid: uint32(_arg(j, "valid")),
            top1: uint32(_arg(j, "top1")),
            topk: uint32(_arg(j, "topk"))
        });
        IShards.ShardProof memory shown = _shardProof(_id, shard);
        if (!_truth(_step(j, "args.accepted"))) shown.proof[0] ^= 0x01;
        return abi.encodeCall(escrow.proveShard, (_id, shown));
    }

    function _state() internal view override returns (uint256) {
        return uint256(escrow.agreement(_id).state);
    }
}
