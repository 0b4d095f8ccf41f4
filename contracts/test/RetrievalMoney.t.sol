// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRetrieval} from "../src/IRetrieval.sol";
import {Retrieval} from "../src/Retrieval.sol";
import {RetrievalScene} from "./RetrievalScene.sol";

/// @title retrieval.json judged by the contract; sums for any amounts; gas.
contract RetrievalMoneyTest is RetrievalScene {
    string private _json = vm.readFile("vectors/retrieval.json");

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
        retrieval.accept{value: 577}(id);
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
        retrieval.accept{value: 577}(next);
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
