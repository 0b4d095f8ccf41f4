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

    function _begin(bool ether_) internal override {
        setUp();
        _money = ether_ ? address(0) : address(token);
        uint256 retiresAt = _number(".model.retiresAt");
        if (retiresAt != 0) {
            vm.warp(retiresAt - registry.NOTICE_PERIOD());
            vm.prank(seller);
            registry.retire(modelId);
        }
        _eq(registry.model(modelId).registeredBlock, _number(".model.registeredBlock"), "registered block");
        _told = _readTerms();
        _id = rounds.roundIdOf(buyer, NONCE, _told);
    }

    function _readTerms() private view returns (IPredictions.Terms memory) {
        return IPredictions.Terms({
            modelId: _truth(".model.registered") ? modelId : keccak256("unknown"),
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

    function _call(string memory j, string memory name)
        internal
        view
        override
        returns (uint256 value, bytes memory data)
    {
        if (_same(name, "open") || _same(name, "accept") || _same(name, "contest")) {
            value = _money == address(0) ? _arg(j, "value") : 0;
        }
        if (_same(name, "open")) return (value, abi.encodeCall(rounds.open, (NONCE, _told)));
        if (_same(name, "accept")) return (value, abi.encodeCall(rounds.accept, _id));
        if (_same(name, "cancel")) return (0, abi.encodeCall(rounds.cancel, _id));
        if (_same(name, "expire")) return (0, abi.encodeCall(rounds.expire, _id));
        if (_same(name, "withdraw")) return (0, abi.encodeCall(rounds.withdraw, _money));
        if (_same(name, "contest")) return (value, _contestCall(j));
        if (_same(name, "answer")) return (0, _answerCall(j));
        uint32 count = uint32(_arg(j, "count"));
        if (_same(name, "close")) {
            return (0, abi.encodeCall(rounds.close, (_id, count, _by(j, rounds.voucherDigest(_id, count)))));
        } else if (_same(name, "approve")) {
            return (0, abi.encodeCall(rounds.approve, (_id, count, _by(j, rounds.approvalDigest(_id, count)))));
        }
        revert UnknownName(name);
    }

    function _contestCall(string memory j) private view returns (bytes memory) {
        bytes32 points = keccak256(_shardPoints(_arg(j, "index"), _arg(j, "points")));
        IPredictions.Prediction memory p =
            IPredictions.Prediction(uint32(_arg(j, "index")), uint32(_arg(j, "valid")), points);
        return abi.encodeCall(rounds.contest, (_id, p, _by(j, rounds.predictionDigest(_id, p))));
    }

    function _answerCall(string memory j) private view returns (bytes memory) {
        IPredictions.PredictionProof memory p = _proven(_id, uint32(_arg(j, "index")), _arg(j, "points"));
        p.valid = uint32(_arg(j, "valid"));
        if (!_truth(_step(j, "args.accepted"))) p.proof[0] ^= 0x01;
        return abi.encodeCall(rounds.answer, (_id, p));
    }

    function _by(string memory j, bytes32 digest) private view returns (bytes memory) {
        return _signer(j, BUYER_KEY, SELLER_KEY, digest);
    }

    function _state() internal view override returns (uint256) {
        return uint256(rounds.round(_id).state);
    }

    function _contract() internal view override returns (address) {
        return address(rounds);
    }

    function _people() internal view override returns (address[3] memory, string[3] memory) {
        return ([buyer, seller, stranger], ["buyer", "seller", "stranger"]);
    }

    function _balance(address who) internal view override returns (uint256) {
        return _money == address(0) ? who.balance : token.balanceOf(who);
    }
}
