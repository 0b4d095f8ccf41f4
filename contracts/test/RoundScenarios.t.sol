// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {RoundScene} from "./RoundScene.sol";
import {Stories} from "./Stories.sol";

/// @title round-stories.jsonl, replayed against the predictions contract.
contract RoundScenariosTest is Stories, RoundScene {
    uint256 private constant NONCE = 1;
    IPredictions.Terms private _told;

    constructor() Stories("vectors/round-stories.jsonl", "vectors/round-machine.json") {}

    function _begin() internal override {
        _told = _readTerms();
        _id = rounds.roundIdOf(buyer, NONCE, _told);
    }

    function _readTerms() private view returns (IPredictions.Terms memory) {
        return IPredictions.Terms({
            modelId: _model(),
            token: _money,
            batches: uint32(_number(".terms.batches")),
            price: uint128(_number(".terms.price")),
            bond: uint128(_number(".terms.bond")),
            contestFee: uint128(_number(".terms.contestFee")),
            acceptBy: uint48(_number(".terms.acceptBy")),
            serveBy: uint48(_number(".terms.serveBy")),
            window: uint32(_number(".terms.window")),
            proveTime: uint32(_number(".terms.proveTime"))
        });
    }

    function _call(string memory j, string memory name) internal view override returns (bytes memory) {
        if (_same(name, "open")) return abi.encodeCall(rounds.open, (NONCE, _told));
        if (_same(name, "cancel")) return abi.encodeCall(rounds.cancel, _id);
        if (_same(name, "accept")) return abi.encodeCall(rounds.accept, _id);
        if (_same(name, "contest")) return _contestCall(j);
        if (_same(name, "answer")) return _answerCall(j);
        if (_same(name, "expire")) return abi.encodeCall(rounds.expire, _id);
        uint32 count = uint32(_arg(j, "count"));
        if (_same(name, "close")) {
            bytes memory signature = _signature(j, rounds.voucherDigest(_id, count));
            return abi.encodeCall(rounds.close, (_id, count, signature));
        }
        if (_same(name, "approve")) {
            bytes memory signature = _signature(j, rounds.approvalDigest(_id, count));
            return abi.encodeCall(rounds.approve, (_id, count, signature));
        }
        revert UnknownName(name);
    }

    function _contestCall(string memory j) private view returns (bytes memory) {
        bytes32 points = keccak256(_shardPoints(_arg(j, "index"), _arg(j, "points")));
        IPredictions.Prediction memory p =
            IPredictions.Prediction(uint32(_arg(j, "index")), uint32(_arg(j, "valid")), points);
        return abi.encodeCall(rounds.contest, (_id, p, _signature(j, rounds.predictionDigest(_id, p))));
    }

    function _answerCall(string memory j) private view returns (bytes memory) {
        IPredictions.PredictionProof memory p = _proven(_id, uint32(_arg(j, "index")), _arg(j, "points"));
        p.valid = uint32(_arg(j, "valid"));
        if (!_truth(_step(j, "args.accepted"))) p.proof[0] ^= 0x01;
        return abi.encodeCall(rounds.answer, (_id, p));
    }

    function _state() internal view override returns (uint256) {
        return uint256(rounds.round(_id).state);
    }
}
