// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "../src/IDeal.sol";
import {IRetrieval} from "../src/IRetrieval.sol";
import {IShards} from "../src/IShards.sol";
import {RetrievalScene} from "./RetrievalScene.sol";

/// @title The retrieval's rules: who may do what until when, what it leads to, who is paid.
contract RetrievalTest is RetrievalScene {
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
            _pays(_money(i), 100 + 30, 400 + 70 + 577, 0);
        }
    }

    function test_noMoreIsPaidThanWasAskedFor() public {
        bytes32 id = _counted(_offer(address(0)), 4);
        _eq(retrieval.request(id).matches, 6, "matches");
        vm.prank(buyer);
        retrieval.approve(id, "");
        _pays(address(0), 30, 500 + 70 + 577, 0);
    }

    function test_silenceSettles() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        vm.warp(block.timestamp + 501);
        vm.prank(stranger);
        retrieval.expire(id);
        _isIn(id, IRetrieval.State.Settled);
        _pays(address(0), 130, 1047, 0);
    }

    function test_rejectionBurnsAsMuchOfBoth() public {
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 id = _counted(_offer(_money(i)), 2);
            vm.prank(buyer);
            retrieval.reject(id);
            _isIn(id, IRetrieval.State.Rejected);
            _pays(_money(i), 100, 70 + 577 - 430, 860);
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
            _pays(_money(i), 130, 1047 + 80, 0);
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
        _pays(address(0), 500 + 70 + 30 + 577 + 40, 40, 0);
    }

    function test_noClaimCostsTheBond() public {
        bytes32 id = _taken(_offer(address(0)));
        vm.warp(4001);
        retrieval.expire(id);
        _isIn(id, IRetrieval.State.Slashed);
        _pays(address(0), 1177, 0, 0);
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
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, end, end + 300));
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

    // ---- who and when

    function test_callersAndDeadlines() public {
        bytes32 id = _ask(_offer(address(0)));
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyRequester.selector, buyer, stranger));
        retrieval.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyResponder.selector, seller, stranger));
        retrieval.accept{value: 577}(id);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooEarly.selector, 2000, block.timestamp));
        retrieval.expire(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.UnknownRequest.selector, bytes32(0)));
        retrieval.expire(0);
        vm.stopPrank();
        vm.warp(2001);
        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, 2000, 2001));
        retrieval.accept{value: 577}(id);
        vm.warp(T0);
        id = _taken(_offer(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyResponder.selector, seller, address(this)));
        retrieval.claim(id, 0, 0, 0, 0);
        vm.startPrank(seller);
        vm.expectRevert(abi.encodeWithSelector(IShards.ClaimAboveSamples.selector, 11, 10));
        retrieval.claim(id, 0, 11, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IShards.ClaimAboveSamples.selector, 12, 10));
        retrieval.claim(id, 0, 0, 12, 0);
        vm.warp(4001);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, 4000, 4001));
        retrieval.claim(id, 0, 0, 0, 0);
        vm.stopPrank();
        vm.warp(T0);
        id = _counted(_offer(address(0)), 2);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyRequester.selector, buyer, address(this)));
        retrieval.reject(id);
        vm.expectRevert(abi.encodeWithSelector(IRetrieval.OnlyRequester.selector, buyer, address(this)));
        retrieval.contest(id, 0);
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
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
            vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
            retrieval.approve(id, signature);
        }
        bytes memory own = _sign(SELLER_KEY, retrieval.approvalDigest(id, root, CIPHERTEXT));
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
        retrieval.approve(id, own);
    }

    /// @dev An account that gets code after it signed (EIP-7702) takes nothing back.
    function test_delegationTakesNoApprovalBack() public {
        bytes32 id = _counted(_offer(address(0)), 2);
        bytes32 digest = retrieval.approvalDigest(id, retrieval.request(id).claimRoot, CIPHERTEXT);
        bytes memory signature = _sign(BUYER_KEY, digest);
        vm.etch(buyer, abi.encodePacked(hex"ef0100", address(token)));
        vm.expectRevert(abi.encodeWithSelector(IDeal.NotSigned.selector, id, buyer));
        retrieval.approve(id, "");
        retrieval.approve(id, signature);
        _isIn(id, IRetrieval.State.Settled);
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
}
