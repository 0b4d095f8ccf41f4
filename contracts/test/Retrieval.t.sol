// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {ILedger} from "../src/ILedger.sol";
import {IRetrieval} from "../src/IRetrieval.sol";
import {Retrieval} from "../src/Retrieval.sol";
import {SumTree} from "../src/SumTree.sol";
import {RetrievalScene} from "./RetrievalScene.sol";

/// @title The retrieval's rules: who may do what until when, what it leads to, who is paid.
contract RetrievalTest is RetrievalScene {
    string private _json = vm.readFile("vectors/retrieval.json");

    function _money(uint256 i) private view returns (address) {
        return i == 0 ? address(0) : address(token);
    }

    // ---- the ends

    function test_approvedPaysByTheItem() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 id = _counted(_offer(_money(i)), 2);
            IRetrieval.Request memory r = retrieval.request(id);
            _eq(r.matches, 4, "matches");
            bytes32 digest = retrieval.approvalDigest(id, r.claimRoot, CIPHERTEXT);
            // Anyone brings the requester's signature.
            vm.prank(stranger);
            retrieval.approve(id, _sign(BUYER_KEY, digest));
            _isIn(id, IRetrieval.State.Settled);
            _pays(_money(i), 100 + 30, 400 + 70 + 530, 0);
        }
    }

    function test_noMoreIsPaidThanWasAskedFor() public {
        bytes32 id = _counted(_offer(address(0)), 4);
        _eq(retrieval.request(id).matches, 6, "matches");
        vm.prank(buyer);
        retrieval.approve(id, "");
        _pays(address(0), 30, 500 + 70 + 530, 0);
    }

    function test_silenceSettles() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        vm.warp(block.timestamp + 501);
        vm.prank(stranger);
        retrieval.expire(id);
        _isIn(id, IRetrieval.State.Settled);
        _pays(address(0), 130, 1000, 0);
    }

    function test_rejectionBurnsAsMuchOfBoth() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 id = _counted(_offer(_money(i)), 2);
            vm.prank(buyer);
            retrieval.reject(id);
            _isIn(id, IRetrieval.State.Rejected);
            _pays(_money(i), 100, 70 + 530 - 430, 860);
        }
    }

    function test_aContestIsAnsweredForItsFee() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 id = _counted(_offer(_money(i)), 2);
            _doubt(id, 0);
            _doubt(id, 2);
            _isIn(id, IRetrieval.State.Contested);
            vm.prank(stranger);
            _show(id, 2, 2);
            _isIn(id, IRetrieval.State.Contested);
            _show(id, 2, 0);
            _isIn(id, IRetrieval.State.Claimed);
            _isTrue(retrieval.isProven(id, 0) && !retrieval.isProven(id, 1), "proven");
            vm.prank(buyer);
            retrieval.approve(id, "");
            _pays(_money(i), 130, 1000 + 80, 0);
        }
    }

    function test_anUnansweredContestCostsTheBond() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        _doubt(id, 0);
        _doubt(id, 1);
        _show(id, 2, 1);
        vm.warp(block.timestamp + 301);
        vm.prank(stranger);
        retrieval.expire(id);
        _isIn(id, IRetrieval.State.Slashed);
        _pays(address(0), 500 + 70 + 30 + 530 + 40, 40, 0);
    }

    function test_noClaimCostsTheBond() public {
        bytes32 id = _taken(_offer(address(0)));
        vm.warp(4001);
        retrieval.expire(id);
        _isIn(id, IRetrieval.State.Slashed);
        _pays(address(0), 1130, 0, 0);
    }

    function test_nobodyAccepted() public {
        bytes32 id = _ask(_offer(address(0)));
        vm.prank(buyer);
        retrieval.cancel(id);
        _isIn(id, IRetrieval.State.Cancelled);
        _pays(address(0), 600, 0, 0);
        id = _ask(_offer(address(token)));
        vm.warp(2001);
        retrieval.expire(id);
        _isIn(id, IRetrieval.State.Cancelled);
        _pays(address(token), 600, 0, 0);
    }

    /// @dev A contest in the last second of the window leaves time to judge the items once it is answered.
    function test_timeToJudgeAfterTheLastAnswer() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        uint256 end = retrieval.request(id).windowEnd;
        vm.warp(end);
        _doubt(id, 1);
        vm.warp(end + 300);
        _show(id, 2, 1);
        _eq(retrieval.request(id).deadline, end + 300 + 200, "deadline");
        // No more contests, but a rejection.
        vm.deal(buyer, 40);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.TooLate.selector, end, end + 300));
        retrieval.contest{value: 40}(id, 0);
        vm.warp(end + 500);
        vm.prank(buyer);
        retrieval.reject(id);
        // Answered early, the window stays.
        vm.deal(buyer, WEALTH);
        id = _counted(_shifted(), 2);
        _doubt(id, 1);
        _show(id, 2, 1);
        _eq(retrieval.request(id).deadline, retrieval.request(id).windowEnd, "deadline");
    }

    function _shifted() private view returns (IRetrieval.Terms memory terms) {
        terms = _offer(address(0));
        (terms.acceptBy, terms.claimBy) = (uint48(block.timestamp + 10), uint48(block.timestamp + 20));
    }

    // ---- lies

    /// @dev A claim of less, or of more, than the proofs say has no leaf for them.
    function test_aFalseCountHasNoAnswer() public {
        for (uint32 lie = 1; lie < 4; lie += 2) {
            bytes32 id = _counted(_offer(address(0)), lie);
            _doubt(id, 0);
            // The proof is of two matches.
            IAgreement.ShardProof[] memory true_ = _matches(id, 2);
            SumTree.Node[] memory path = _sumPath(_matches(id, lie), 0);
            bytes32 claimRoot = retrieval.request(id).claimRoot;
            SumTree.Node memory leaf = SumTree.leaf(0, 4, 2, 4, keccak256(true_[0].proof));
            bytes32 found = this.climb(leaf, path);
            vm.expectRevert(abi.encodeWithSelector(IAgreement.ShardNotInClaim.selector, claimRoot, found));
            retrieval.answer(id, true_[0], path);
        }
    }

    function climb(SumTree.Node memory leaf, SumTree.Node[] calldata path) external pure returns (bytes32) {
        return SumTree.climb(leaf, 0, 3, path);
    }

    /// @dev The claimed leaf is there, but what it says is not proven.
    function test_aFalseProofIsRefused() public {
        bytes32 id = _taken(_offer(address(0)));
        IAgreement.ShardProof[] memory all = _matches(id, 2);
        all[0].shard.top1 = 1;
        SumTree.Node memory top = _sumNode(all, 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
        _doubt(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ProofRejected.selector, 0));
        retrieval.answer(id, all[0], _sumPath(all, 0));
    }

    /// @dev Proofs are bound to contract, request, shard and payee; commitments to the roots.
    function test_aProofOfAnotherRequestIsRefused() public {
        bytes32 other = _counted(_offer(address(0)), 2);
        bytes32 id = _taken(_offer(address(0)));
        IAgreement.ShardProof[] memory all = _matches(other, 2);
        SumTree.Node memory top = _sumNode(all, 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
        _doubt(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ProofRejected.selector, 0));
        retrieval.answer(id, all[0], _sumPath(all, 0));
    }

    function test_otherItemsAreRefused() public {
        bytes32 id = _taken(_offer(address(0)));
        IAgreement.ShardProof[] memory all = _matches(id, 2);
        all[0].shardPoints = abi.encode(9, 9, 9, 9);
        SumTree.Node memory top = _sumNode(all, 0, _height());
        vm.prank(seller);
        retrieval.claim(id, top.hash, uint32(top.sums >> 64), uint32(top.sums >> 128), CIPHERTEXT);
        _doubt(id, 0);
        _refused(
            abi.encodeCall(retrieval.answer, (id, all[0], _sumPath(all, 0))), IAgreement.ShardNotInDataset.selector
        );
    }

    /// @dev By the selector alone.
    function _refused(bytes memory call_, bytes4 expected) private {
        (bool ok, bytes memory answer) = address(retrieval).call(call_);
        _isTrue(!ok && bytes4(answer) == expected, "refused by this rule");
    }

    function test_answersOutOfPlaceAreRefused() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        IAgreement.ShardProof[] memory all = _matches(id, 2);
        SumTree.Node[] memory path = _sumPath(all, 1);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.WrongState.selector, IRetrieval.State.Claimed));
        retrieval.answer(id, all[1], path);
        _doubt(id, 0);
        _doubt(id, 1);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ShardNotContested.selector, 2));
        retrieval.answer(id, all[2], path);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.PathLength.selector, 2, 0));
        retrieval.answer(id, all[1], new SumTree.Node[](0));
        retrieval.answer(id, all[1], path);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ShardAlreadyProven.selector, 1));
        retrieval.answer(id, all[1], path);
        vm.deal(buyer, 40);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ShardAlreadyContested.selector, 1));
        retrieval.contest{value: 40}(id, 1);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ShardOutOfRange.selector, 3, 3));
        retrieval.contest{value: 40}(id, 3);
    }

    // ---- terms

    function _opens(IRetrieval.Terms memory terms, bytes memory reason) private {
        vm.deal(buyer, WEALTH);
        vm.expectRevert(reason);
        vm.prank(buyer);
        retrieval.open{value: 600}(terms, 1 << 128);
    }

    function test_termsRules() public {
        IRetrieval.Terms memory t = _offer(address(0));
        t.modelId = keccak256("unknown");
        _opens(t, abi.encodeWithSelector(IAgreement.UnknownModel.selector, t.modelId));
        t = _offer(address(0));
        t.modelId = _register(1);
        _opens(t, abi.encodeWithSelector(IAgreement.ModelNotEarlier.selector, block.number, block.number));
        t = _offer(address(0x1234));
        _opens(t, abi.encodeWithSelector(IRetrieval.TokenWithoutCode.selector, address(0x1234)));
        t = _offer(address(0));
        t.shards = 0;
        _opens(t, abi.encodeWithSelector(IRetrieval.ShardsOutOfRange.selector, 0, 10));
        t.shards = 11;
        _opens(t, abi.encodeWithSelector(IRetrieval.ShardsOutOfRange.selector, 11, 10));
        t = _offer(address(0));
        t.bond = 529;
        _opens(t, abi.encodeWithSelector(IRetrieval.BondTooSmall.selector, 530, 529));
        t = _offer(address(0));
        (t.maxItems, t.pricePerItem) = (type(uint32).max, type(uint128).max);
        uint256 most = uint256(type(uint32).max) * type(uint128).max + 30;
        _opens(t, abi.encodeWithSelector(IRetrieval.BondTooSmall.selector, most, 530));
        t = _offer(address(0));
        t.acceptBy = uint48(block.timestamp);
        _opens(t, abi.encodeWithSelector(IRetrieval.DeadlinesOutOfOrder.selector, block.timestamp, t.acceptBy, 4000));
        t = _offer(address(0));
        t.claimBy = 2000;
        _opens(t, abi.encodeWithSelector(IRetrieval.DeadlinesOutOfOrder.selector, block.timestamp, 2000, 2000));
        t = _offer(address(0));
        t.receiptTime = 0;
        _opens(t, abi.encodeWithSelector(IRetrieval.NoTimeToJudge.selector, 500, 300, 0));
        t = _offer(address(0));
        uint256 latest = block.timestamp + registry.NOTICE_PERIOD();
        t.claimBy = uint48(latest - 999);
        _opens(t, abi.encodeWithSelector(IAgreement.AgreementTooLong.selector, latest + 1, latest));
        t = _offer(address(0));
        t.scanFee = 71;
        _opens(t, abi.encodeWithSelector(ILedger.WrongValue.selector, 601, 600));
        vm.prank(seller);
        registry.retire(modelId);
        uint48 retires = uint48(registry.model(modelId).retiresAt);
        _opens(_offer(address(0)), abi.encodeWithSelector(IAgreement.ModelRetiring.selector, modelId, retires));
    }

    function test_onceUnderANonce() public {
        IRetrieval.Terms memory t = _offer(address(0));
        bytes32 id = retrieval.requestIdOf(buyer, 5, t);
        vm.prank(buyer);
        _eq(retrieval.open{value: 600}(t, 5), id, "id");
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.AlreadyOpened.selector, id));
        vm.prank(buyer);
        retrieval.open{value: 600}(t, 5);
        // Nor once it ended: terminal states absorb.
        vm.prank(buyer);
        retrieval.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.AlreadyOpened.selector, id));
        vm.prank(buyer);
        retrieval.open{value: 600}(t, 5);
        // Somebody else's request of the same terms and nonce is another one.
        vm.prank(stranger);
        _isTrue(retrieval.open{value: 600}(t, 5) != id, "another id");
    }

    // ---- who and when

    function test_callersAndDeadlines() public {
        bytes32 id = _ask(_offer(address(0)));
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyRequester.selector, buyer, stranger));
        retrieval.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyResponder.selector, seller, stranger));
        retrieval.accept{value: 530}(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.TooEarly.selector, 2000, block.timestamp));
        retrieval.expire(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.UnknownRequest.selector, bytes32(0)));
        retrieval.expire(0);
        vm.stopPrank();
        vm.warp(2001);
        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.TooLate.selector, 2000, 2001));
        retrieval.accept{value: 530}(id);
        vm.warp(T0);
        id = _taken(_offer(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyResponder.selector, seller, address(this)));
        retrieval.claim(id, 0, 0, 0, 0);
        vm.startPrank(seller);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ClaimAboveSamples.selector, 11, 10));
        retrieval.claim(id, 0, 11, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.ClaimAboveSamples.selector, 12, 10));
        retrieval.claim(id, 0, 0, 12, 0);
        vm.warp(4001);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.TooLate.selector, 4000, 4001));
        retrieval.claim(id, 0, 0, 0, 0);
        vm.stopPrank();
        vm.warp(T0);
        id = _counted(_offer(address(0)), 2);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyRequester.selector, buyer, address(this)));
        retrieval.reject(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyRequester.selector, buyer, address(this)));
        retrieval.contest(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.NotSigned.selector, id, buyer));
        retrieval.approve(id, "");
    }

    /// @dev An approval is for one request, one claim and one ciphertext.
    function test_anotherApprovalIsNone() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        bytes32 root = retrieval.request(id).claimRoot;
        bytes32 other = _counted(_offer(address(0)), 2);
        bytes32[3] memory digests = [
            retrieval.approvalDigest(other, root, CIPHERTEXT),
            retrieval.approvalDigest(id, keccak256("claim"), CIPHERTEXT),
            retrieval.approvalDigest(id, root, keccak256("other"))
        ];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory signature = _sign(BUYER_KEY, digests[i]);
            vm.expectRevert(abi.encodeWithSelector(IRetrieval.NotSigned.selector, id, buyer));
            retrieval.approve(id, signature);
        }
        bytes memory own = _sign(SELLER_KEY, retrieval.approvalDigest(id, root, CIPHERTEXT));
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.NotSigned.selector, id, buyer));
        retrieval.approve(id, own);
    }

    function test_nothingHappensInTheWrongState() public {
        for (uint256 s = 0; s < 4; ++s) {
            bytes32 id = s == 0
                ? _ask(_offer(address(0)))
                : s == 1 ? _taken(_offer(address(0))) : _counted(_offer(address(0)), 2);
            if (s == 3) {
                vm.prank(buyer);
                retrieval.approve(id, "");
            }
            IRetrieval.State state = retrieval.request(id).state;
            bytes memory reason = abi.encodeWithSelector(IRetrieval.WrongState.selector, state);
            vm.startPrank(buyer);
            if (s != 0) _fails(abi.encodeCall(retrieval.cancel, id), reason);
            if (s != 2) {
                _fails(abi.encodeCall(retrieval.reject, id), reason);
                _fails(abi.encodeCall(retrieval.approve, (id, "")), reason);
                _fails(abi.encodeCall(retrieval.contest, (id, 0)), reason);
            }
            if (s == 3) _fails(abi.encodeCall(retrieval.expire, id), reason);
            vm.stopPrank();
            vm.startPrank(seller);
            if (s != 0) _fails(abi.encodeCall(retrieval.accept, id), reason);
            if (s != 1) _fails(abi.encodeCall(retrieval.claim, (id, 0, 0, 0, 0)), reason);
            vm.stopPrank();
        }
    }

    function _fails(bytes memory call_, bytes memory reason) private {
        (bool ok, bytes memory answer) = address(retrieval).call(call_);
        _isTrue(!ok && keccak256(answer) == keccak256(reason), "refused by the state");
    }

    // ---- the vectors

    function _u(string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, key);
    }

    function _w(string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, key);
    }

    function _vectorTerms() private view returns (IRetrieval.Terms memory t) {
        (t.modelId, t.corpusRoot) = (_w(".terms.modelId"), _w(".terms.corpusRoot"));
        (t.datasetRoot, t.readingKey) = (_w(".terms.datasetRoot"), _w(".terms.readingKey"));
        t.token = vm.parseJsonAddress(_json, ".terms.token");
        (t.shards, t.samples) = (uint32(_u(".terms.shards")), uint32(_u(".terms.samples")));
        (t.wantedClass, t.maxItems) = (uint16(_u(".terms.wantedClass")), uint32(_u(".terms.maxItems")));
        (t.pricePerItem, t.scanFee) = (uint128(_u(".terms.pricePerItem")), uint128(_u(".terms.scanFee")));
        (t.requesterBond, t.bond) = (uint128(_u(".terms.requesterBond")), uint128(_u(".terms.bond")));
        t.contestFee = uint128(_u(".terms.contestFee"));
        (t.acceptBy, t.claimBy) = (uint48(_u(".terms.acceptBy")), uint48(_u(".terms.claimBy")));
        (t.window, t.proveTime) = (uint32(_u(".terms.window")), uint32(_u(".terms.proveTime")));
        t.receiptTime = uint32(_u(".terms.receiptTime"));
    }

    function test_hashes() public {
        vm.chainId(_u(".chainId"));
        Retrieval there = Retrieval(vm.parseJsonAddress(_json, ".contract"));
        vm.etch(address(there), address(new Retrieval(registry)).code);
        address requester = vm.parseJsonAddress(_json, ".requester");
        bytes32 id = there.requestIdOf(requester, _u(".nonce"), _vectorTerms());
        _eq(id, _w(".id"), "id");
        bytes32 digest = there.approvalDigest(id, _w(".approval.claimRoot"), _w(".approval.ciphertextHash"));
        _eq(digest, _w(".approval.digest"), "digest");
        bytes memory signature = vm.parseJsonBytes(_json, ".approval.signature");
        _eq(keccak256(_sign(_u(".signerKey"), digest)), keccak256(signature), "signature");
        _eq(vm.addr(_u(".signerKey")), requester, "signer");
        address payee = vm.parseJsonAddress(_json, ".context.payee");
        uint256 context = there.contextOf(id, uint32(_u(".context.index")), payee);
        _eq(bytes32(context), _w(".context.context"), "context");
    }

    /// @dev Each case of the vectors, brought to each of its ends.
    function test_everyEndPaysWhatTheVectorsSay() public {
        for (uint256 c = 0; vm.keyExistsJson(_json, string.concat(".cases[", vm.toString(c), "]")); ++c) {
            string memory at = string.concat(".cases[", vm.toString(c), "].");
            uint256 snapshot = vm.snapshotState();
            for (uint256 end = 0; end < 4; ++end) {
                _bringTo(end, uint32(_u(string.concat(at, "matches"))), uint32(_u(string.concat(at, "contests"))));
                string memory name = ["cancelled", "settled", "rejected", "slashed"][end];
                uint256[] memory pays = vm.parseJsonUintArray(_json, string.concat(at, name));
                _pays(address(0), pays[0], pays[1], pays[2]);
                vm.revertToState(snapshot);
                snapshot = vm.snapshotState();
            }
        }
    }

    function _bringTo(uint256 end, uint32 matches, uint32 contests) private {
        bytes32 id = _ask(_offer(address(0)));
        if (end == 0) {
            vm.prank(buyer);
            return retrieval.cancel(id);
        }
        vm.startPrank(seller);
        retrieval.accept{value: 530}(id);
        retrieval.claim(id, 0, matches, matches, CIPHERTEXT);
        vm.stopPrank();
        if (end == 1) {
            vm.prank(buyer);
            retrieval.approve(id, "");
        } else if (end == 2) {
            vm.prank(buyer);
            retrieval.reject(id);
        } else {
            // Without a contest, the bond is lost for a missing claim only.
            if (contests == 0) return _slashWithoutClaim(id);
            for (uint32 i = 0; i < contests; ++i) {
                _doubt(id, i);
            }
            vm.warp(block.timestamp + 301);
            retrieval.expire(id);
        }
    }

    function _slashWithoutClaim(bytes32 claimed) private {
        // The claimed one ends at no gain for anyone of this test: settled and withdrawn.
        vm.prank(buyer);
        retrieval.approve(claimed, "");
        vm.prank(seller);
        retrieval.withdraw(address(0));
        if (retrieval.credit(buyer, address(0)) != 0) {
            vm.prank(buyer);
            retrieval.withdraw(address(0));
        }
        bytes32 id = _taken(_offer(address(0)));
        vm.warp(4001);
        retrieval.expire(id);
    }

    /// @dev Whatever the amounts, what was deposited is what is paid, and both lose the same by a rejection.
    function test_theMoneyAddsUp(uint16 maxItems, uint64 price, uint64 fee, uint64 own, uint64 bond, uint32 first)
        public
    {
        IRetrieval.Terms memory t = _offer(address(0));
        (t.maxItems, t.pricePerItem, t.scanFee, t.requesterBond) = (maxItems, price, fee, own);
        t.bond = uint128(uint256(maxItems) * price + own + bond);
        uint256 deposit = _price(t);
        vm.deal(buyer, deposit * 2);
        vm.deal(seller, uint256(t.bond) * 2);
        bytes32 id = _counted(t, first % 5);
        uint256 snapshot = vm.snapshotState();
        vm.prank(buyer);
        retrieval.approve(id, "");
        uint256 honest = retrieval.credit(buyer, address(0));
        uint256 paid = retrieval.credit(seller, address(0));
        _eq(honest + paid, deposit + t.bond, "settled");
        vm.revertToState(snapshot);
        vm.prank(buyer);
        retrieval.reject(id);
        _eq(retrieval.held(address(0)), deposit + t.bond, "rejected");
        // Rejecting what is good costs the requester its bond, and being rejected the responder price and bond twice.
        _eq(honest - retrieval.credit(buyer, address(0)), own, "the requester's loss");
        uint256 due = uint256(t.pricePerItem) * (first % 5 + 2 < maxItems ? first % 5 + 2 : maxItems);
        _eq(paid - retrieval.credit(seller, address(0)), 2 * due + own, "the responder's loss");
    }

    // ---- gas

    /// forge-config: default.isolate = true
    function test_gas() public {
        _ask(_offer(address(0)));
        IRetrieval.Terms memory t = _offer(address(0));
        bytes32 id = _taken(t);
        vm.prank(buyer);
        retrieval.open{value: 600}(t, 99);
        vm.snapshotGasLastCall("Gas", "open a retrieval, ether");
        bytes32 next = retrieval.requestIdOf(buyer, 99, t);
        vm.prank(seller);
        retrieval.accept{value: 530}(next);
        vm.snapshotGasLastCall("Gas", "accept a retrieval, ether");
        vm.prank(seller);
        retrieval.claim(id, keccak256("top"), 4, 10, CIPHERTEXT);
        vm.snapshotGasLastCall("Gas", "claim a retrieval");
        bytes memory signature =
            _sign(BUYER_KEY, retrieval.approvalDigest(id, retrieval.request(id).claimRoot, CIPHERTEXT));
        retrieval.approve(id, signature);
        vm.snapshotGasLastCall("Gas", "approve and settle a retrieval, ether");
        id = _counted(t, 2);
        vm.prank(buyer);
        retrieval.contest{value: 40}(id, 1);
        vm.snapshotGasLastCall("Gas", "contest a shard of a retrieval, ether");
        _show(id, 2, 1);
        vm.snapshotGasLastCall("Gas", "answer a contest of a retrieval, ether");
        vm.prank(buyer);
        retrieval.reject(id);
        vm.snapshotGasLastCall("Gas", "reject a retrieval, ether");
    }
}
