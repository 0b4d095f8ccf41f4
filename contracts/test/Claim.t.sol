// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IDeal} from "../src/IDeal.sol";
import {IShards} from "../src/IShards.sol";
import {ModelProofs} from "../src/ModelProofs.sol";
import {SumTree} from "../src/SumTree.sol";
import {BurningVerifier, LongAnswer} from "./mocks/Verifiers.sol";
import {SigningAccount} from "./mocks/Accounts.sol";
import {Scene} from "./Scene.sol";

/// @title Claims, contests and signatures under attack.
/// @dev A dishonest claim has a shard that cannot be answered for; each test says which.
contract ClaimTest is Scene {
    function test_claimTells() public {
        bytes32 id = _delivered(_optimistic(address(0)));
        SumTree.Node memory top = _sumNode(_counts(id, 1), 0, 2);
        bytes32 root = keccak256(abi.encode(top.hash, uint256(10) | (9 << 64) | (9 << 128)));
        vm.expectEmit(address(escrow));
        emit IAgreement.Claimed(id, root, 9, 9, uint48(T0 + 500));
        vm.prank(seller);
        escrow.claim(id, top.hash, 9, 9);
        IAgreement.Agreement memory a = escrow.agreement(id);
        _eq(a.claimRoot, root, "root");
        _eq(a.correct, 9, "correct");
        _eq(a.windowEnd, T0 + 500, "window");
    }

    function test_topkIsTheClaimOfItsMetric() public {
        IAgreement.Terms memory terms = _optimistic(address(0));
        terms.metric = IAgreement.Metric.TopK;
        bytes32 id = _delivered(terms);
        vm.prank(seller);
        escrow.claim(id, keccak256("top"), 3, 9);
        _eq(escrow.agreement(id).correct, 9, "correct");
    }

    function test_moreThanAllCannotBeClaimed() public {
        bytes32 id = _delivered(_optimistic(address(0)));
        vm.startPrank(seller);
        vm.expectRevert(abi.encodeWithSelector(IShards.ClaimAboveSamples.selector, 11, 10));
        escrow.claim(id, CIPHERTEXT, 11, 10);
        vm.expectRevert(abi.encodeWithSelector(IShards.ClaimAboveSamples.selector, 11, 10));
        escrow.claim(id, CIPHERTEXT, 10, 11);
        vm.stopPrank();
    }

    // ---- dishonest trees

    /// @dev Totals above the sum of the leaves: no shard can be answered for.
    function test_inflatedTotals() public {
        bytes32 id = _delivered(_optimistic(address(0)));
        IShards.ShardProof[] memory counts = _counts(id, 3);
        SumTree.Node memory top = _sumNode(counts, 0, 2);
        vm.prank(seller);
        escrow.claim(id, top.hash, 8, 8);
        for (uint32 i = 0; i < 3; ++i) {
            _contest(id, i);
            _unanswerable(id, counts[i], _sumPath(counts, i));
        }
        vm.warp(block.timestamp + 301);
        escrow.expire(id);
        // The penalty's equal would have been 300; all fees came back as well.
        _owes(address(0), 1000 + 100 + 500 + 3 * 40, 0, 1720);
    }

    /// @dev One more counted behind the last shard, where nothing can be contested: the last shard does not open.
    function test_countsBehindTheLastShard() public {
        bytes32 id = _delivered(_optimistic(address(0)));
        IShards.ShardProof[] memory counts = _counts(id, 3);
        SumTree.Node memory hidden = SumTree.Node(keccak256("hidden"), SumTree.pack(0, 1, 1));
        SumTree.Node memory left = _sumNode(counts, 0, 1);
        SumTree.Node memory last = _sumNode(counts, 2, 0);
        SumTree.Node memory right = SumTree.Node(keccak256(abi.encode(last, hidden)), last.sums + hidden.sums);
        vm.prank(seller);
        escrow.claim(id, keccak256(abi.encode(left, right)), 8, 8);
        _contest(id, 2);
        SumTree.Node[] memory path = new SumTree.Node[](2);
        (path[0], path[1]) = (hidden, left);
        _unanswerable(id, counts[2], path);
        path[0] = SumTree.Node(0, 0);
        _unanswerable(id, counts[2], path);
        // The other half opens, and helps the seller nothing.
        _contest(id, 0);
        path[0] = _sumNode(counts, 1, 0);
        path[1] = right;
        escrow.answer(id, counts[0], path);
        vm.warp(block.timestamp + 301);
        escrow.expire(id);
        _is(id, IAgreement.State.Slashed);
    }

    /// @dev A sibling whose sums wrap around would take away what another adds.
    function test_sumsThatWrap(uint8 lane, uint256 excess) public {
        bytes32 id = _delivered(_optimistic(address(0)));
        IShards.ShardProof[] memory counts = _counts(id, 0);
        SumTree.Node[] memory path = _sumPath(counts, 0);
        excess = _bound(excess, 1, type(uint32).max);
        path[0].sums += excess << (64 * (lane % 3) + 32);
        SumTree.Node memory node = _sumNode(counts, 0, 0);
        for (uint256 h = 0; h < 2; ++h) {
            unchecked {
                node = SumTree.Node(keccak256(abi.encode(node, path[h])), node.sums + path[h].sums);
            }
        }
        vm.prank(seller);
        escrow.claim(id, node.hash, 10, 10);
        _contest(id, 0);
        _unanswerable(id, counts[0], path);
    }

    /// @dev A leaf says what the proof under it does not.
    function test_leafOfAnotherProof() public {
        bytes32 id = _delivered(_optimistic(address(0)));
        IShards.ShardProof[] memory counts = _counts(id, 3);
        // The claim is made with a leaf of 4 of 4, whose proof says 1 of 4.
        bytes memory honest = counts[0].proof;
        (counts[0].shard.top1, counts[0].shard.topk) = (4, 4);
        _claim(id, counts);
        _contest(id, 0);
        counts[0].proof = honest;
        _refusedAs(id, counts[0], _sumPath(counts, 0), IShards.ProofRejected.selector);
        (counts[0].shard.top1, counts[0].shard.topk) = (1, 1);
        _unanswerable(id, counts[0], _sumPath(counts, 0));
    }

    /// @dev Favourable shards twice: a leaf is bound to its place, in the claim and in the dataset.
    function test_aShardCountsInItsPlaceOnly() public {
        bytes32 id = _delivered(_optimistic(address(0)));
        IShards.ShardProof[] memory counts = _counts(id, 3);
        IShards.ShardProof[] memory twice = _counts(id, 3);
        twice[0] = counts[1];
        _claim(id, counts);
        _contest(id, 0);
        _refusedAs(id, twice[0], _sumPath(counts, 1), IShards.ShardNotContested.selector);
        twice[0].shard.index = 0;
        _unanswerable(id, twice[0], _sumPath(counts, 0));
    }

    function test_pathsOfAnotherLength() public {
        bytes32 id = _claimed(_optimistic(address(0)), 0);
        _contest(id, 0);
        IShards.ShardProof[] memory counts = _counts(id, 0);
        _refusedAs(id, counts[0], new SumTree.Node[](1), IShards.PathLength.selector);
        _refusedAs(id, counts[0], new SumTree.Node[](3), IShards.PathLength.selector);
    }

    /// @dev Trees of any size: every shard of an honest claim can be answered for.
    function test_everyHonestShardCanBeAnswered(uint256 shards, uint256 seed) public {
        shards = _bound(shards, 1, 12);
        delete dataset;
        uint32 samples = 0;
        for (uint256 i = 0; i < shards; ++i) {
            dataset.push(uint32(_bound(uint256(keccak256(abi.encode(seed, i))), 1, 100)));
            samples += dataset[i];
        }
        IAgreement.Terms memory terms = _optimistic(address(token));
        (terms.samples, terms.threshold, terms.previewShards) = (samples, samples, 1);
        bytes32 id = _claimed(terms, 0);
        for (uint32 i = 0; i < shards; ++i) {
            _contest(id, i);
        }
        IShards.ShardProof[] memory counts = _counts(id, 0);
        for (uint32 i = uint32(shards); i > 0; --i) {
            _answer(id, counts, i - 1);
        }
        _is(id, IAgreement.State.Claimed);
        vm.prank(buyer);
        escrow.approve(id, "");
        _owes(address(token), 100, 1500 + 40 * shards, 1600 + 40 * shards);
    }

    // ---- verifiers that burn

    /// @dev What a verifier may burn is capped, so an honest caller is not robbed by a dishonest verifier.
    function test_verifierGasIsCapped() public {
        verifier = address(new BurningVerifier());
        modelId = _register(1);
        vm.roll(block.number + 1);
        bytes32 id = _delivered(_terms(address(0)));
        IShards.ShardProof memory p = _shardProof(id, IShards.Shard(0, 4, 4, 4));
        uint256 before = gasleft();
        vm.expectRevert(abi.encodeWithSelector(IShards.ProofRejected.selector, 0));
        escrow.proveShard(id, p);
        _isTrue(before - gasleft() < 3_200_000, "gas");
    }

    function test_longAnswersAreNotCopied() public {
        verifier = address(new LongAnswer());
        modelId = _register(1);
        vm.roll(block.number + 1);
        bytes32 id = _delivered(_terms(address(0)));
        IShards.ShardProof memory p = _shardProof(id, IShards.Shard(0, 4, 4, 4));
        vm.expectRevert(abi.encodeWithSelector(IShards.ProofRejected.selector, 0));
        escrow.proveShard(id, p);
    }

    // ---- signatures are for one thing

    function test_approvalIsForOneClaimOfOneAgreementOnOneChain() public {
        bytes32 one = _claimed(_optimistic(address(0)), 0);
        bytes32 other = _claimed(_optimistic(address(0)), 0);
        bytes memory signature = _sign(BUYER_KEY, escrow.approvalDigest(one, escrow.agreement(one).claimRoot));
        _notSigned(other, buyer, abi.encodeCall(escrow.approve, (other, signature)));
        bytes memory lower = _sign(BUYER_KEY, escrow.approvalDigest(one, keccak256("another claim")));
        _notSigned(one, buyer, abi.encodeCall(escrow.approve, (one, lower)));
        vm.chainId(block.chainid + 1);
        _notSigned(one, buyer, abi.encodeCall(escrow.approve, (one, signature)));
        vm.chainId(block.chainid - 1);
        escrow.approve(one, signature);
        _is(one, IAgreement.State.Settled);
    }

    /// @dev A preview's receipt is no receipt for the whole test set, nor the other way round.
    function test_previewReceiptIsNoReceipt() public {
        bytes32 id = _drawn(_optimistic(address(0)));
        bytes memory preview = _sign(SELLER_KEY, escrow.previewDigest(id, CIPHERTEXT));
        bytes memory receipt = _sign(SELLER_KEY, escrow.receiptDigest(id, CIPHERTEXT));
        _notSigned(id, seller, abi.encodeCall(escrow.proceed, (id, CIPHERTEXT, receipt)));
        escrow.proceed(id, CIPHERTEXT, preview);
        _notSigned(id, seller, abi.encodeCall(escrow.acknowledge, (id, CIPHERTEXT, preview)));
        escrow.acknowledge(id, CIPHERTEXT, receipt);
        _is(id, IAgreement.State.Delivered);
    }

    /// @dev An account that gets code after it signed (EIP-7702) takes nothing back.
    function test_delegationTakesNoApprovalBack() public {
        bytes32 id = _claimed(_optimistic(address(0)), 0);
        bytes memory signature = _sign(BUYER_KEY, escrow.approvalDigest(id, escrow.agreement(id).claimRoot));
        vm.etch(buyer, abi.encodePacked(hex"ef0100", address(new SigningAccount())));
        _notSigned(id, buyer, abi.encodeCall(escrow.approve, (id, "")));
        escrow.approve(id, signature);
        _is(id, IAgreement.State.Settled);
    }

    function test_contractBuyerApproves() public {
        SigningAccount account = new SigningAccount();
        vm.deal(address(account), 2000);
        IAgreement.Terms memory terms = _optimistic(address(0));
        terms.previewShards = 0;
        bytes32 id = abi.decode(account.act(address(escrow), 1100, abi.encodeCall(escrow.open, terms)), (bytes32));
        vm.startPrank(seller);
        escrow.accept{value: 500}(id);
        escrow.acknowledge(id, CIPHERTEXT, "");
        escrow.claim(id, CIPHERTEXT, 8, 8);
        vm.stopPrank();
        _notSigned(id, address(account), abi.encodeCall(escrow.approve, (id, "")));
        account.sign(escrow.approvalDigest(id, escrow.agreement(id).claimRoot));
        escrow.approve(id, "");
        _is(id, IAgreement.State.Settled);
    }

    // ---- times

    /// @dev A contest in the last second of the window leaves the seller its whole time.
    function test_lastSecondContest() public {
        bytes32 id = _claimed(_optimistic(address(0)), 0);
        vm.warp(T0 + 500);
        _contest(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, T0 + 500, T0 + 501));
        vm.warp(T0 + 501);
        vm.prank(buyer);
        escrow.contest{value: 40}(id, 2);
        vm.warp(T0 + 800);
        _answer(id, _counts(id, 0), 1);
        escrow.expire(id);
        _is(id, IAgreement.State.Settled);
        _isTrue(escrow.isContested(id, 1) && !escrow.isContested(id, 2), "contested");
    }

    /// @dev The fee of a contest is for whoever is paid, not for whoever brings the proof.
    function test_copiedAnswerPaysTheSeller() public {
        bytes32 id = _claimed(_optimistic(address(0)), 0);
        _contest(id, 1);
        IShards.ShardProof[] memory counts = _counts(id, 0);
        vm.prank(stranger);
        escrow.answer(id, counts[1], _sumPath(counts, 1));
        _eq(escrow.credit(seller, address(0)), 40, "seller");
        _eq(escrow.credit(stranger, address(0)), 0, "stranger");
    }

    function test_shardsOfAnotherLength() public {
        delete dataset;
        dataset = [4, 4, 2];
        bytes32 id = _delivered(_terms(address(0)));
        IShards.ShardProof memory p = _shardProof(id, IShards.Shard(0, 4, 4, 4));
        // Committed by the buyer with one point too many: another leaf, and still refused.
        p.shardPoints = bytes.concat(p.shardPoints, p.modelPoints);
        IAgreement.Terms memory terms = _terms(address(0));
        bytes32 inner = keccak256(abi.encode(uint256(0), uint256(4), keccak256(p.shardPoints)));
        (terms.datasetRoot, terms.shards, terms.samples) = (keccak256(abi.encode(inner)), 1, 4);
        terms.threshold = 4;
        id = _delivered(terms);
        p.merkleProof = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(ModelProofs.ShardPointsLength.selector, 128, 320));
        escrow.proveShard(id, p);
    }

    function _unanswerable(bytes32 id, IShards.ShardProof memory p, SumTree.Node[] memory path) private {
        _refusedAs(id, p, path, IShards.ShardNotInClaim.selector);
    }

    function _refusedAs(bytes32 id, IShards.ShardProof memory p, SumTree.Node[] memory path, bytes4 selector) private {
        (bool success, bytes memory answer) = address(escrow).call(abi.encodeCall(escrow.answer, (id, p, path)));
        _isTrue(!success, "refused");
        _eq(bytes32(bytes4(answer)), bytes32(selector), "error");
    }

    function _notSigned(bytes32 id, address signer, bytes memory call_) private {
        (bool success, bytes memory answer) = address(escrow).call(call_);
        _isTrue(!success, "refused");
        bytes memory error_ = abi.encodeWithSelector(IDeal.NotSigned.selector, id, signer);
        _eq(keccak256(answer), keccak256(error_), "not signed");
    }
}
