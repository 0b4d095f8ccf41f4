// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DatasetRoot} from "../src/DatasetRoot.sol";
import {Escrow} from "../src/Escrow.sol";
import {IAgreement} from "../src/IAgreement.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {Sampling} from "../src/Sampling.sol";
import {SumTree} from "../src/SumTree.sol";
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
            keccak256(points),
            uint16(_uint(".model.shardPoints"))
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
            id = _registry.register{value: 1}(_word(".model.architecture"), _address(".model.verifier"), points, 2, "");
        }
        _eq(id, _word(".model.modelId"), "model id");
    }

    function test_agreementId() public view {
        string memory t = ".agreement.terms";
        IAgreement.Terms memory terms;
        terms.modelId = _word(string.concat(t, ".modelId"));
        terms.datasetRoot = _word(string.concat(t, ".datasetRoot"));
        terms.token = _address(string.concat(t, ".token"));
        terms.shards = uint32(_uint(string.concat(t, ".shards")));
        terms.samples = uint32(_uint(string.concat(t, ".samples")));
        terms.threshold = uint32(_uint(string.concat(t, ".threshold")));
        terms.price = uint128(_uint(string.concat(t, ".price")));
        terms.buyerBond = uint128(_uint(string.concat(t, ".buyerBond")));
        terms.bond = uint128(_uint(string.concat(t, ".bond")));
        terms.penalty = uint128(_uint(string.concat(t, ".penalty")));
        terms.previewFee = uint128(_uint(string.concat(t, ".previewFee")));
        terms.contestFee = uint128(_uint(string.concat(t, ".contestFee")));
        terms.acceptBy = uint48(_uint(string.concat(t, ".acceptBy")));
        terms.previewBy = uint48(_uint(string.concat(t, ".previewBy")));
        terms.deliverBy = uint48(_uint(string.concat(t, ".deliverBy")));
        terms.claimBy = uint48(_uint(string.concat(t, ".claimBy")));
        terms.metric = IAgreement.Metric(_uint(string.concat(t, ".metric")));
        terms.mode = IAgreement.Mode(_uint(string.concat(t, ".mode")));
        terms.previewShards = uint32(_uint(string.concat(t, ".previewShards")));
        terms.responseTime = uint32(_uint(string.concat(t, ".responseTime")));
        terms.window = uint32(_uint(string.concat(t, ".window")));
        terms.proveTime = uint32(_uint(string.concat(t, ".proveTime")));
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

    function test_signatures() public view {
        bytes32 id = _word(".agreement.id");
        _signature(".signed.preview", _escrow.previewDigest(id, _word(".signed.preview.content")));
        _signature(".signed.receipt", _escrow.receiptDigest(id, _word(".signed.receipt.content")));
        _signature(".signed.approval", _escrow.approvalDigest(id, _word(".signed.approval.content")));
        _eq(vm.addr(_uint(".signed.signerKey")), _address(".model.seller"), "signer");
    }

    function _signature(string memory path, bytes32 digest) private view {
        _eq(digest, _word(string.concat(path, ".digest")), "digest");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_uint(".signed.signerKey"), digest);
        bytes memory expected = vm.parseJsonBytes(_json, string.concat(path, ".signature"));
        _eq(keccak256(abi.encodePacked(r, s, v)), keccak256(expected), "signature");
    }

    function test_draws() public view {
        bytes32 seed = keccak256(abi.encode(_word(".draw.blockHash"), _word(".agreement.id")));
        _eq(seed, _word(".draw.seed"), "seed");
        for (uint256 d = 0; d < 5; ++d) {
            string memory draw = string.concat(".draws[", vm.toString(d), "]");
            uint256[] memory expected = vm.parseJsonUintArray(_json, string.concat(draw, ".shards"));
            uint32[] memory found = Sampling.draw(
                _word(string.concat(draw, ".seed")), _uint(string.concat(draw, ".available")), expected.length
            );
            for (uint256 i = 0; i < expected.length; ++i) {
                _eq(found[i], expected[i], "drawn");
            }
        }
    }

    function test_claims() public view {
        for (uint256 t = 0; t < 5; ++t) {
            uint256 leaves = [uint256(1), 2, 3, 5, 8][t];
            string memory claim = string.concat(".claims[", vm.toString(t), "]");
            for (uint256 i = 0; i < leaves; ++i) {
                _claimed(i, leaves, claim, string.concat(claim, ".leaves[", vm.toString(i), "]"));
            }
        }
    }

    function _claimed(uint256 i, uint256 leaves, string memory claim, string memory leaf) private view {
        SumTree.Node memory node = SumTree.leaf(
            i,
            _uint(string.concat(leaf, ".valid")),
            _uint(string.concat(leaf, ".top1")),
            _uint(string.concat(leaf, ".topk")),
            _word(string.concat(leaf, ".proofHash"))
        );
        _eq(node.hash, _word(string.concat(leaf, ".hash")), "leaf");
        bytes32[] memory hashes = vm.parseJsonBytes32Array(_json, string.concat(leaf, ".path"));
        bytes32[] memory sums = vm.parseJsonBytes32Array(_json, string.concat(leaf, ".sums"));
        SumTree.Node[] memory path = new SumTree.Node[](hashes.length);
        for (uint256 h = 0; h < path.length; ++h) {
            path[h] = SumTree.Node(hashes[h], uint256(sums[h]));
        }
        _eq(this.climbSums(node, i, leaves, path), _word(string.concat(claim, ".root")), "root");
    }

    function climbSums(SumTree.Node memory node, uint256 index, uint256 leaves, SumTree.Node[] calldata path)
        external
        pure
        returns (bytes32)
    {
        return SumTree.climb(node, index, leaves, path);
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
