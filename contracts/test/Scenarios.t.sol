// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {Scene} from "./Scene.sol";
import {Stories} from "./Stories.sol";

/// @title stories.jsonl, replayed against the escrow.
contract ScenariosTest is Stories, Scene {
    IAgreement.Terms private _told;

    constructor() Stories("vectors/stories.jsonl", "vectors/machine.json") {}

    function _begin(bool ether_) internal override {
        setUp();
        _money = ether_ ? address(0) : address(token);
        uint256[] memory valid = _numbers(".dataset");
        delete dataset;
        for (uint256 s = 0; s < valid.length; ++s) {
            dataset.push(uint32(valid[s]));
        }
        uint256 retiresAt = _number(".model.retiresAt");
        if (retiresAt != 0) {
            vm.warp(retiresAt - registry.NOTICE_PERIOD());
            vm.prank(seller);
            registry.retire(modelId);
        }
        _eq(registry.model(modelId).registeredBlock, _number(".model.registeredBlock"), "registered block");
        _told = _readTerms();
        _id = escrow.agreementIdOf(buyer, 0, _told);
    }

    function _readTerms() private view returns (IAgreement.Terms memory terms) {
        terms = _terms(_money);
        if (!_truth(".model.registered")) terms.modelId = keccak256("unknown");
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

    function _call(string memory j, string memory name)
        internal
        view
        override
        returns (uint256 value, bytes memory data)
    {
        if (_same(name, "open") || _same(name, "accept") || _same(name, "contest")) {
            value = _money == address(0) ? _arg(j, "value") : 0;
        }
        if (_same(name, "open")) data = abi.encodeCall(escrow.open, _told);
        else if (_same(name, "accept")) data = abi.encodeCall(escrow.accept, _id);
        else if (_same(name, "cancel")) data = abi.encodeCall(escrow.cancel, _id);
        else if (_same(name, "draw")) data = abi.encodeCall(escrow.draw, _id);
        else if (_same(name, "send")) data = abi.encodeCall(escrow.send, (_id, CIPHERTEXT));
        else if (_same(name, "decline")) data = abi.encodeCall(escrow.decline, _id);
        else if (_same(name, "deny")) data = abi.encodeCall(escrow.deny, _id);
        else if (_same(name, "expire")) data = abi.encodeCall(escrow.expire, _id);
        else if (_same(name, "withdraw")) data = abi.encodeCall(escrow.withdraw, _money);
        else data = _laterCall(j, name);
    }

    function _laterCall(string memory j, string memory name) private view returns (bytes memory) {
        if (_same(name, "proceed")) {
            return abi.encodeCall(escrow.proceed, (_id, CIPHERTEXT, _by(j, escrow.previewDigest(_id, CIPHERTEXT))));
        } else if (_same(name, "acknowledge")) {
            return abi.encodeCall(escrow.acknowledge, (_id, CIPHERTEXT, _by(j, escrow.receiptDigest(_id, CIPHERTEXT))));
        } else if (_same(name, "approve")) {
            bytes32 digest = escrow.approvalDigest(_id, escrow.agreement(_id).claimRoot);
            return abi.encodeCall(escrow.approve, (_id, _by(j, digest)));
        } else if (_same(name, "contest")) {
            return abi.encodeCall(escrow.contest, (_id, uint32(_arg(j, "index"))));
        } else if (_same(name, "claim")) {
            SumTree.Node memory top = _sumNode(_counted(j), 0, _height());
            return abi.encodeCall(escrow.claim, (_id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128)));
        } else if (_same(name, "answer")) {
            return _answerCall(j);
        } else if (_same(name, "proveShard")) {
            return _proveCall(j);
        }
        revert UnknownName(name);
    }

    function _by(string memory j, bytes32 digest) private view returns (bytes memory) {
        return _signer(j, BUYER_KEY, SELLER_KEY, digest);
    }

    /// @dev Every shard with the counts of a claim, some of them with a proof that the verifier rejects.
    function _counted(string memory j) private view returns (IShards.ShardProof[] memory counts) {
        counts = new IShards.ShardProof[](dataset.length);
        for (uint32 k = 0; k < counts.length; ++k) {
            uint256[] memory right = _numbers(_step(j, string.concat("args.counts[", vm.toString(k), "]")));
            counts[k] = _shardProof(_id, IShards.Shard(k, dataset[k], uint32(right[0]), uint32(right[1])));
        }
        uint256[] memory rejected = _numbers(_step(j, "args.rejected"));
        for (uint256 k = 0; k < rejected.length; ++k) {
            counts[rejected[k]].proof[0] ^= 0x01;
        }
    }

    function _answerCall(string memory j) private view returns (bytes memory) {
        IShards.ShardProof[] memory counts = _counted(j);
        uint32 index = uint32(_arg(j, "index"));
        IShards.ShardProof memory shown;
        if (index < counts.length) shown = counts[index];
        else shown.shard.index = index;
        return abi.encodeCall(escrow.answer, (_id, shown, _sumPath(counts, index < counts.length ? index : 0)));
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

    function _contract() internal view override returns (address) {
        return address(escrow);
    }

    function _people() internal view override returns (address[3] memory, string[3] memory) {
        return ([buyer, seller, stranger], ["buyer", "seller", "stranger"]);
    }

    function _balance(address who) internal view override returns (uint256) {
        return _money == address(0) ? who.balance : token.balanceOf(who);
    }
}
