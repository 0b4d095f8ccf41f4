// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IShards} from "../src/IShards.sol";
import {ModelProofs} from "../src/ModelProofs.sol";
import {DigestVerifier, FixedAnswer, WritingVerifier} from "./mocks/Verifiers.sol";
import {Scene} from "./Scene.sol";

/// @title What makes a shard proof count, rule by rule and bit by bit.
contract ProveShardTest is Scene {
    struct Call {
        bytes32 id;
        IShards.ShardProof p;
    }

    bytes32 private _id;

    function setUp() public override {
        super.setUp();
        _id = _delivered(_terms(address(0)));
    }

    function test_honestProofCounts() public {
        vm.expectEmit(address(escrow));
        emit IAgreement.ShardProven(_id, 1, 4, 2, 3);
        _send(_honest(1, 2, 3));
        IAgreement.Agreement memory a = escrow.agreement(_id);
        _eq(a.proven, 1, "proven");
        _eq(a.valid, 4, "valid");
        _eq(a.correct, 2, "correct");
        _isTrue(escrow.isProven(_id, 1) && !escrow.isProven(_id, 0) && !escrow.isProven(_id, 2), "bitmap");
    }

    function test_lastProofSettles() public {
        _send(_honest(0, 4, 4));
        _send(_honest(1, 4, 4));
        vm.expectEmit(address(escrow));
        emit IAgreement.Settled(_id, 9, true);
        _send(_honest(2, 1, 2));
        _is(_id, IAgreement.State.Settled);
    }

    // ---- each rule

    function test_shardIndexInRange() public {
        Call memory c = _honest(2, 2, 2);
        c.p.shard.index = 3;
        _refused(c, abi.encodeWithSelector(IShards.ShardOutOfRange.selector, 3, 3));
    }

    function test_shardCountsOnce() public {
        _send(_honest(0, 4, 4));
        _refused(_honest(0, 4, 4), abi.encodeWithSelector(IShards.ShardAlreadyProven.selector, 0));
        _refused(_honest(0, 3, 3), abi.encodeWithSelector(IShards.ShardAlreadyProven.selector, 0));
    }

    function test_countsWithinValid() public {
        _refused(_honest(2, 3, 2), abi.encodeWithSelector(IShards.CountAboveValid.selector, 3, 2));
        _refused(_honest(2, 2, 3), abi.encodeWithSelector(IShards.CountAboveValid.selector, 3, 2));
    }

    function test_siblingsOneTooFewOrTooMany() public {
        Call memory c = _honest(0, 4, 4);
        c.p.merkleProof = new bytes32[](1);
        _refused(c, abi.encodeWithSelector(IShards.PathLength.selector, 2, 1));
        c.p.merkleProof = new bytes32[](3);
        _refused(c, abi.encodeWithSelector(IShards.PathLength.selector, 2, 3));
    }

    function test_wrongSibling() public {
        Call memory c = _honest(0, 4, 4);
        c.p.merkleProof[1] = ~c.p.merkleProof[1];
        _refusedAs(c, IShards.ShardNotInDataset.selector);
    }

    function test_shardOfAnotherIndex() public {
        Call memory c = _honest(0, 4, 4);
        (c.p.shard.index, c.p.merkleProof) = (1, _siblings(1));
        _refusedAs(c, IShards.ShardNotInDataset.selector);
    }

    function test_moreValidSamplesThanCommitted() public {
        Call memory c = _honest(0, 4, 4);
        c.p.shard.valid = 5;
        c.p.proof = _proof(_id, c.p.shard);
        _refusedAs(c, IShards.ShardNotInDataset.selector);
    }

    function test_anotherModel() public {
        Call memory c = _honest(0, 4, 4);
        c.p.modelPoints[5] ^= 0x01;
        bytes memory error_ = abi.encodeWithSelector(
            ModelProofs.ModelPointsMismatch.selector, keccak256(modelPoints), keccak256(c.p.modelPoints)
        );
        _refused(c, error_);
    }

    /// @dev Bytes moved over the border between model and shard leave the statement's bytes alike, but not the hashes.
    function test_borderBetweenModelAndShard() public {
        Call memory c = _honest(0, 4, 4);
        bytes memory both = bytes.concat(c.p.modelPoints, c.p.shardPoints);
        c.p.modelPoints = _slice(both, 0, 128);
        c.p.shardPoints = _slice(both, 128, both.length);
        _refusedAs(c, IShards.ShardNotInDataset.selector);
    }

    function test_verifierWithOtherCode() public {
        bytes32 before = verifier.codehash;
        vm.etch(verifier, address(new FixedAnswer(abi.encode(1))).code);
        _refused(
            _honest(0, 4, 4), abi.encodeWithSelector(ModelProofs.VerifierChanged.selector, before, verifier.codehash)
        );
        vm.etch(verifier, "");
        _refusedAs(_honest(0, 4, 4), ModelProofs.VerifierChanged.selector);
        vm.etch(verifier, address(new DigestVerifier()).code);
        _send(_honest(0, 4, 4));
    }

    /// @dev Nothing but exactly one word 1 is a yes.
    function test_answersThatAreNotYes() public {
        bytes[7] memory answers = [
            bytes(""),
            abi.encode(0),
            abi.encode(2),
            abi.encode(type(uint256).max),
            abi.encode(1, 0),
            hex"01",
            abi.encodePacked(uint248(1))
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            bytes32 id = _deliveredWith(address(new FixedAnswer(answers[i])));
            Call memory c = _honest(0, 4, 4);
            c.id = id;
            _refused(c, abi.encodeWithSelector(IShards.ProofRejected.selector, 0));
        }
        bytes32 yes = _deliveredWith(address(new FixedAnswer(abi.encode(1))));
        Call memory d = _honest(0, 4, 4);
        d.id = yes;
        _send(d);
    }

    function test_verifierCannotWrite() public {
        bytes32 id = _deliveredWith(address(new WritingVerifier()));
        Call memory c = _honest(0, 4, 4);
        c.id = id;
        _refused(c, abi.encodeWithSelector(IShards.ProofRejected.selector, 0));
    }

    // ---- a proof is worth something in one place only

    /// @dev The verifier rejects any statement but the honest one: flip any bit of the scalars or of the proof.
    function test_anyOtherProofIsRejected(uint256 word, uint8 bit) public {
        Call memory c = _honest(1, 2, 3);
        word = _bound(word, 0, 2);
        if (word == 0) c.p.shard.top1 = uint32(_bound(bit, 0, 1));
        else if (word == 1) c.p.shard.topk = 4;
        else c.p.proof[bit % 32] ^= bytes1(uint8(1) << (bit / 32));
        _refused(c, abi.encodeWithSelector(IShards.ProofRejected.selector, 1));
        _send(_honest(1, 2, 3));
    }

    function test_trailingOrMissingBytes() public {
        Call memory c = _honest(1, 2, 3);
        c.p.proof = bytes.concat(c.p.proof, hex"00");
        _refusedAs(c, IShards.ProofRejected.selector);
        c.p.proof = "";
        _refusedAs(c, IShards.ProofRejected.selector);
    }

    function test_proofOfAnotherAgreement() public {
        bytes32 other = _delivered(_terms(address(0)));
        Call memory c = _honest(0, 4, 4);
        c.id = other;
        _refusedAs(c, IShards.ProofRejected.selector);
    }

    function test_proofOfAnotherChain() public {
        Call memory c = _honest(0, 4, 4);
        vm.chainId(block.chainid + 1);
        _refusedAs(c, IShards.ProofRejected.selector);
    }

    function test_proofForAnotherPayee() public {
        Call memory c = _honest(0, 4, 4);
        address honest = seller;
        seller = stranger;
        c.p.proof = _proof(_id, c.p.shard);
        seller = honest;
        _refusedAs(c, IShards.ProofRejected.selector);
    }

    function test_proofOfAnEqualShardElsewhere() public {
        Call memory c = _honest(1, 4, 4);
        c.p.proof = _honest(0, 4, 4).p.proof;
        _refusedAs(c, IShards.ProofRejected.selector);
    }

    /// @dev A proof copied from the mempool still pays its prover.
    function test_copiedProofPaysTheSeller() public {
        vm.startPrank(stranger);
        _proveAll(_id, 0);
        vm.stopPrank();
        _owes(address(0), 100, 1500, 1600);
    }

    function test_contextIsASmallField(bytes32 id, uint32 index, address payee) public view {
        uint256 digest = uint256(keccak256(abi.encode(block.chainid, address(escrow), id, index, payee)));
        uint256 context = escrow.contextOf(id, index, payee);
        _eq(context, digest % R, "context");
        _isTrue(context < R, "below r");
    }

    // ---- trees of other sizes

    function test_anyNumberOfShardsSettles(uint256 shards, uint256 seed) public {
        shards = _bound(shards, 1, 20);
        delete dataset;
        uint32 samples = 0;
        for (uint256 i = 0; i < shards; ++i) {
            uint32 valid = uint32(_bound(uint256(keccak256(abi.encode(seed, i))), 1, 100));
            dataset.push(valid);
            samples += valid;
        }
        IAgreement.Terms memory terms = _terms(address(0));
        (terms.samples, terms.threshold) = (samples, samples);
        bytes32 id = _delivered(terms);
        // From the last to the first, with one answer missing every other time.
        uint32 missing = uint32(seed % 2);
        for (uint32 n = uint32(shards); n > 0; --n) {
            uint32 i = n - 1;
            uint32 right = i == 0 ? dataset[0] - missing : dataset[i];
            _prove(id, i, right, right);
        }
        _is(id, IAgreement.State.Settled);
        _eq(escrow.agreement(id).correct, samples - missing, "correct");
        _eq(escrow.credit(seller, address(0)), missing == 0 ? 1500 : 300, "seller");
        _eq(escrow.credit(buyer, address(0)), missing == 0 ? 100 : 1300, "buyer");
    }

    // ---- how a call is made

    function _honest(uint32 index, uint32 top1, uint32 topk) private view returns (Call memory c) {
        IShards.Shard memory shard = IShards.Shard(index, dataset[index], top1, topk);
        c = Call(_id, _shardProof(_id, shard));
    }

    function _send(Call memory c) private {
        escrow.proveShard(c.id, c.p);
    }

    /// @dev Refused for exactly this reason, and nothing changed.
    function _refused(Call memory c, bytes memory error_) private {
        bytes32 before = keccak256(abi.encode(escrow.agreement(c.id), escrow.isProven(c.id, c.p.shard.index)));
        vm.expectRevert(error_);
        _send(c);
        bytes32 found = keccak256(abi.encode(escrow.agreement(c.id), escrow.isProven(c.id, c.p.shard.index)));
        _eq(found, before, "agreement");
    }

    function _refusedAs(Call memory c, bytes4 selector) private {
        bytes memory call_ = abi.encodeCall(escrow.proveShard, (c.id, c.p));
        (bool success, bytes memory answer) = address(escrow).call(call_);
        _isTrue(!success, "refused");
        _eq(bytes32(bytes4(answer)), bytes32(selector), "error");
    }

    function _deliveredWith(address otherVerifier) private returns (bytes32) {
        verifier = otherVerifier;
        modelId = _register(1);
        vm.roll(block.number + 1);
        return _delivered(_terms(address(token)));
    }

    function _slice(bytes memory b, uint256 from, uint256 to) private pure returns (bytes memory out) {
        out = new bytes(to - from);
        for (uint256 i = from; i < to; ++i) {
            out[i - from] = b[i];
        }
    }
}
