// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Predictions} from "../src/Predictions.sol";
import {Shim} from "./Shim.sol";

/// @title predictions.json, judged by the contract living at the address it names.
contract RoundHashesTest is Shim {
    string private _json = vm.readFile("vectors/predictions.json");
    Predictions private _rounds;

    function setUp() public {
        vm.chainId(_uint(".chainId"));
        _rounds = Predictions(vm.parseJsonAddress(_json, ".contract"));
        vm.etch(address(_rounds), address(new Predictions(new ModelRegistry())).code);
    }

    function test_roundId() public view {
        IPredictions.Terms memory terms = IPredictions.Terms({
            modelId: _word(".round.terms.modelId"),
            token: vm.parseJsonAddress(_json, ".round.terms.token"),
            batches: uint32(_uint(".round.terms.batches")),
            price: uint128(_uint(".round.terms.price")),
            bond: uint128(_uint(".round.terms.bond")),
            contestFee: uint128(_uint(".round.terms.contestFee")),
            acceptBy: uint48(_uint(".round.terms.acceptBy")),
            serveBy: uint48(_uint(".round.terms.serveBy")),
            window: uint32(_uint(".round.terms.window")),
            proveTime: uint32(_uint(".round.terms.proveTime"))
        });
        address buyer = vm.parseJsonAddress(_json, ".buyer");
        bytes32 id = _rounds.roundIdOf(buyer, uint256(_word(".round.nonce")), terms);
        _eq(id, _word(".round.id"), "round id");
    }

    function test_contexts() public view {
        for (uint256 i = 0; i < 3; ++i) {
            string memory c = string.concat(".contexts[", vm.toString(i), "]");
            uint32 index = uint32(_uint(string.concat(c, ".index")));
            uint256 context = _rounds.contextOf(_word(".round.id"), index, vm.parseJsonAddress(_json, ".seller"));
            _eq(bytes32(context), _word(string.concat(c, ".context")), "context");
        }
    }

    function test_signatures() public view {
        bytes32 id = _word(".round.id");
        _signature(".voucher", _rounds.voucherDigest(id, uint32(_uint(".voucher.count"))), ".buyerKey");
        _signature(".approval", _rounds.approvalDigest(id, uint32(_uint(".approval.count"))), ".buyerKey");
        IPredictions.Prediction memory p = IPredictions.Prediction(
            uint32(_uint(".prediction.index")), uint32(_uint(".prediction.valid")), _word(".prediction.shardPointsHash")
        );
        _signature(".prediction", _rounds.predictionDigest(id, p), ".sellerKey");
    }

    function _signature(string memory path, bytes32 digest, string memory key) private view {
        _eq(digest, _word(string.concat(path, ".digest")), "digest");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(uint256(_word(key)), digest);
        bytes memory expected = vm.parseJsonBytes(_json, string.concat(path, ".signature"));
        _eq(keccak256(abi.encodePacked(r, s, v)), keccak256(expected), "signature");
    }

    function _uint(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, key);
    }

    function _word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, key);
    }
}
