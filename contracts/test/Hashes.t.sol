// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DatasetRoot} from "../src/DatasetRoot.sol";
import {Escrow} from "../src/Escrow.sol";
import {IEscrow} from "../src/IEscrow.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {DigestVerifier} from "./mocks/Verifiers.sol";
import {Shim} from "./Shim.sol";

/// @title hashes.json, judged by the contracts living at the addresses it names.
contract HashesTest is Shim {
    string private _json = vm.readFile("vectors/hashes.json");
    ModelRegistry private _registry;
    Escrow private _escrow;

    function setUp() public {
        vm.chainId(_uint(".chainId"));
        _registry = ModelRegistry(_address(".registry"));
        _escrow = Escrow(_address(".escrow"));
        vm.etch(address(_registry), address(new ModelRegistry()).code);
        vm.etch(address(_escrow), address(new Escrow(_registry)).code);
        vm.etch(_address(".model.verifier"), address(new DigestVerifier()).code);
    }

    function test_modelId() public view {
        bytes memory points = vm.parseJsonBytes(_json, ".model.modelPoints");
        _eq(keccak256(points), _word(".model.modelPointsHash"), "points");
        bytes32 id = _registry.modelIdOf(
            _address(".model.seller"),
            _uint(".model.nonce"),
            _word(".model.architecture"),
            _address(".model.verifier"),
            keccak256(points)
        );
        _eq(id, _word(".model.modelId"), "model id");
    }

    /// @dev The same id, through the front door: the eighth registration of the seller.
    function test_modelIdByRegistration() public {
        address seller = _address(".model.seller");
        bytes memory points = vm.parseJsonBytes(_json, ".model.modelPoints");
        bytes32 id;
        for (uint256 nonce = 0; nonce <= _uint(".model.nonce"); ++nonce) {
            vm.deal(seller, 1);
            vm.prank(seller);
            id = _registry.register{value: 1}(_word(".model.architecture"), _address(".model.verifier"), points, "");
        }
        _eq(id, _word(".model.modelId"), "model id");
    }

    function test_agreementId() public view {
        string memory t = ".agreement.terms";
        IEscrow.Terms memory terms = IEscrow.Terms({
            modelId: _word(string.concat(t, ".modelId")),
            datasetRoot: _word(string.concat(t, ".datasetRoot")),
            token: _address(string.concat(t, ".token")),
            shards: uint32(_uint(string.concat(t, ".shards"))),
            samples: uint32(_uint(string.concat(t, ".samples"))),
            threshold: uint32(_uint(string.concat(t, ".threshold"))),
            price: uint128(_uint(string.concat(t, ".price"))),
            bond: uint128(_uint(string.concat(t, ".bond"))),
            penalty: uint128(_uint(string.concat(t, ".penalty"))),
            acceptBy: uint48(_uint(string.concat(t, ".acceptBy"))),
            deliverBy: uint48(_uint(string.concat(t, ".deliverBy"))),
            proveBy: uint48(_uint(string.concat(t, ".proveBy"))),
            metric: IEscrow.Metric(_uint(string.concat(t, ".metric")))
        });
        bytes32 id = _escrow.agreementIdOf(_address(".agreement.buyer"), _uint(".agreement.nonce"), terms);
        _eq(id, _word(".agreement.id"), "agreement id");
    }

    function test_contexts() public view {
        for (uint256 i = 0; i < 4; ++i) {
            string memory c = string.concat(".contexts[", vm.toString(i), "]");
            uint32 index = uint32(_uint(string.concat(c, ".shardIndex")));
            address payee = _address(string.concat(c, ".payee"));
            uint256 context = _escrow.contextOf(_word(".agreement.id"), index, payee);
            _eq(bytes32(context), _word(string.concat(c, ".context")), "context");
        }
    }

    function test_receipt() public view {
        bytes32 digest = _escrow.receiptDigest(_word(".agreement.id"), _word(".receipt.ciphertextHash"));
        _eq(digest, _word(".receipt.digest"), "digest");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_uint(".receipt.signerKey"), digest);
        _eq(
            keccak256(abi.encodePacked(r, s, v)), keccak256(vm.parseJsonBytes(_json, ".receipt.signature")), "signature"
        );
        _eq(vm.addr(_uint(".receipt.signerKey")), _address(".model.seller"), "signer");
    }

    function test_trees() public view {
        for (uint256 t = 0; t < 6; ++t) {
            string memory tree = string.concat(".trees[", vm.toString(t), "]");
            bytes32 root = _word(string.concat(tree, ".root"));
            uint256 leaves = [uint256(1), 2, 3, 4, 5, 8][t];
            for (uint256 i = 0; i < leaves; ++i) {
                string memory shard = string.concat(tree, ".shards[", vm.toString(i), "]");
                bytes32 pointsHash = keccak256(vm.parseJsonBytes(_json, string.concat(shard, ".shardPoints")));
                bytes32 leaf = DatasetRoot.leaf(i, _uint(string.concat(shard, ".valid")), pointsHash);
                _eq(leaf, _word(string.concat(shard, ".leaf")), "leaf");
                bytes32[] memory siblings = vm.parseJsonBytes32Array(_json, string.concat(shard, ".merkleProof"));
                _eq(siblings.length, DatasetRoot.depth(leaves), "depth");
                _eq(this.climb(leaf, i, siblings), root, "root");
            }
        }
    }

    function climb(bytes32 leaf, uint256 index, bytes32[] calldata siblings) external pure returns (bytes32) {
        return DatasetRoot.climb(leaf, index, siblings);
    }

    function _uint(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, key);
    }

    function _word(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, key);
    }

    function _address(string memory key) private view returns (address) {
        return vm.parseJsonAddress(_json, key);
    }
}
