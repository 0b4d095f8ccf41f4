// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {SumTree} from "../src/SumTree.sol";
import {RetrievalScene} from "./RetrievalScene.sol";
import {Scene} from "./Scene.sol";
import {ShardStories} from "./ShardStories.sol";
import {Stories} from "./Stories.sol";
import {World} from "./World.sol";

/// @title retrieval-stories.jsonl, replayed against the retrieval contract.
contract RetrievalScenariosTest is ShardStories, RetrievalScene {
    uint256 private constant NONCE = 1;
    IRetrieval.Terms private _told;

    constructor() Stories("vectors/retrieval-stories.jsonl", "vectors/retrieval-machine.json") {}

    function setUp() public override(World, RetrievalScene) {
        super.setUp();
    }

    function _contract() internal view override(World, Scene, RetrievalScene) returns (address) {
        return super._contract();
    }

    function _names() internal pure override returns (string[3] memory) {
        return ["requester", "responder", "stranger"];
    }

    function _begin() internal override {
        _readDataset();
        _told = _readTerms();
        _id = retrieval.requestIdOf(buyer, NONCE, _told);
    }

    function _readTerms() private view returns (IRetrieval.Terms memory terms) {
        terms = _offer(_money);
        terms.modelId = _model();
        terms.shards = uint32(_number(".terms.shards"));
        terms.samples = uint32(_number(".terms.samples"));
        terms.maxItems = uint32(_number(".terms.maxItems"));
        terms.pricePerItem = uint128(_number(".terms.pricePerItem"));
        terms.scanFee = uint128(_number(".terms.scanFee"));
        terms.requesterBond = uint128(_number(".terms.requesterBond"));
        terms.bond = uint128(_number(".terms.bond"));
        terms.contestFee = uint128(_number(".terms.contestFee"));
        terms.acceptBy = uint48(_number(".terms.acceptBy"));
        terms.claimBy = uint48(_number(".terms.claimBy"));
        terms.window = uint32(_number(".terms.window"));
        terms.proveTime = uint32(_number(".terms.proveTime"));
        terms.receiptTime = uint32(_number(".terms.receiptTime"));
    }

    function _call(string memory j, string memory name) internal view override returns (bytes memory) {
        if (_same(name, "open")) return abi.encodeCall(retrieval.open, (_told, NONCE));
        if (_same(name, "cancel")) return abi.encodeCall(retrieval.cancel, _id);
        if (_same(name, "accept")) return abi.encodeCall(retrieval.accept, _id);
        if (_same(name, "contest")) return abi.encodeCall(retrieval.contest, (_id, uint32(_arg(j, "index"))));
        if (_same(name, "reject")) return abi.encodeCall(retrieval.reject, _id);
        if (_same(name, "expire")) return abi.encodeCall(retrieval.expire, _id);
        if (_same(name, "claim")) {
            (bytes32 node, uint32 top1, uint32 topk) = _claimTold(j);
            return abi.encodeCall(retrieval.claim, (_id, node, top1, topk, CIPHERTEXT));
        }
        if (_same(name, "answer")) {
            (IShards.ShardProof memory shown, SumTree.Node[] memory path) = _answerTold(j);
            return abi.encodeCall(retrieval.answer, (_id, shown, path));
        }
        if (_same(name, "approve")) {
            bytes32 digest = retrieval.approvalDigest(_id, retrieval.request(_id).claimRoot, CIPHERTEXT);
            return abi.encodeCall(retrieval.approve, (_id, _signature(j, digest)));
        }
        revert UnknownName(name);
    }

    function _state() internal view override returns (uint256) {
        return uint256(retrieval.request(_id).state);
    }
}
