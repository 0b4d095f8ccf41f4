// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEscrow} from "../src/IEscrow.sol";
import {Scene} from "./Scene.sol";

/// @title What `open` refuses and stores, and who may call what when; errors with their numbers.
/// @dev The order of states and the flow of money are in agreement.json; here are the arguments of the errors.
contract TermsTest is Scene {
    function test_openStoresAndTells() public {
        IEscrow.Terms memory terms = _terms(address(0));
        bytes32 expected = escrow.agreementIdOf(buyer, 0, terms);
        vm.expectEmit(address(escrow));
        emit IEscrow.Opened(expected, buyer, modelId, seller, 0, terms);
        bytes32 id = _open(terms);
        _eq(id, expected, "id");
        IEscrow.Agreement memory a = escrow.agreement(id);
        _eq(keccak256(abi.encode(a.terms)), keccak256(abi.encode(terms)), "terms");
        _eq(a.buyer, buyer, "buyer");
        _eq(a.seller, seller, "seller");
        _eq(escrow.nonces(buyer), 1, "nonce");
        _eq(address(escrow.registry()), address(registry), "registry");
    }

    function test_idDependsOnChainEscrowBuyerNonceAndTerms() public {
        IEscrow.Terms memory terms = _terms(address(0));
        bytes32 id = escrow.agreementIdOf(buyer, 0, terms);
        _isTrue(id != escrow.agreementIdOf(seller, 0, terms), "buyer");
        _isTrue(id != escrow.agreementIdOf(buyer, 1, terms), "nonce");
        terms.price += 1;
        _isTrue(id != escrow.agreementIdOf(buyer, 0, terms), "terms");
        terms.price -= 1;
        vm.chainId(block.chainid + 1);
        _isTrue(id != escrow.agreementIdOf(buyer, 0, terms), "chain");
    }

    function test_modelRules() public {
        IEscrow.Terms memory terms = _terms(address(0));
        terms.modelId = bytes32(uint256(1));
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.UnknownModel.selector, terms.modelId));
        terms.modelId = modelId;
        vm.roll(B0);
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.ModelNotEarlier.selector, B0, B0));
        vm.roll(B0 + 1);
        vm.prank(seller);
        registry.retire(modelId);
        uint48 retiresAt = registry.model(modelId).retiresAt;
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.ModelRetiring.selector, modelId, retiresAt));
    }

    function test_termsRules() public {
        IEscrow.Terms memory terms = _terms(address(0));
        terms.penalty = terms.bond + 1;
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.PenaltyAboveBond.selector, 501, 500));
        terms = _terms(address(0));
        terms.shards = 0;
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.ShardsOutOfRange.selector, 0, 10));
        (terms.shards, terms.samples) = (3, 2);
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.ShardsOutOfRange.selector, 3, 2));
        terms = _terms(address(0));
        terms.threshold = 11;
        _refusedTerms(terms, abi.encodeWithSelector(IEscrow.ThresholdAboveSamples.selector, 11, 10));
    }

    function test_deadlinesAreOrderedAndAhead(uint48 acceptBy, uint48 deliverBy, uint48 proveBy) public {
        uint256 latest = T0 + registry.NOTICE_PERIOD();
        IEscrow.Terms memory terms = _terms(address(0));
        terms.acceptBy = uint48(_bound(acceptBy, T0 - 10, T0 + 10));
        terms.deliverBy = uint48(_bound(deliverBy, T0, T0 + 20));
        terms.proveBy =
            uint48(proveBy % 2 == 0 ? _bound(proveBy, T0, T0 + 30) : _bound(proveBy, latest - 5, latest + 5));
        bool ordered = T0 < terms.acceptBy && terms.acceptBy < terms.deliverBy && terms.deliverBy < terms.proveBy;
        if (terms.proveBy > latest) {
            _refusedTerms(terms, abi.encodeWithSelector(IEscrow.AgreementTooLong.selector, terms.proveBy, latest));
        } else if (!ordered) {
            bytes memory error_ = abi.encodeWithSelector(
                IEscrow.DeadlinesOutOfOrder.selector, T0, terms.acceptBy, terms.deliverBy, terms.proveBy
            );
            _refusedTerms(terms, error_);
        } else {
            _is(_open(terms), IEscrow.State.Open);
        }
    }

    function test_unknownAgreement() public {
        bytes32 id = keccak256("nothing");
        vm.expectRevert(abi.encodeWithSelector(IEscrow.UnknownAgreement.selector, id));
        escrow.cancel(id);
    }

    function test_wrongStateTellsBoth() public {
        bytes32 id = _open(_terms(address(0)));
        bytes memory error_ =
            abi.encodeWithSelector(IEscrow.WrongState.selector, IEscrow.State.Delivered, IEscrow.State.Open);
        vm.expectRevert(error_);
        escrow.slash(id);
    }

    function test_callersAndDeadlinesTell() public {
        bytes32 id = _open(_terms(address(0)));
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.OnlyBuyerUntil.selector, 2000, stranger));
        escrow.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.OnlySeller.selector, seller, stranger));
        escrow.accept{value: 500}(id);
        vm.stopPrank();

        vm.warp(2001);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.TooLate.selector, 2000, 2001));
        vm.prank(seller);
        escrow.accept{value: 500}(id);
        vm.warp(2000);
        vm.prank(seller);
        escrow.accept{value: 500}(id);

        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.OnlySellerUntil.selector, 3000, stranger));
        escrow.decline(id);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.OnlySeller.selector, seller, stranger));
        escrow.acknowledge(id, CIPHERTEXT);
        vm.prank(seller);
        escrow.acknowledge(id, CIPHERTEXT);

        vm.expectRevert(abi.encodeWithSelector(IEscrow.TooEarly.selector, 4000, 2000));
        escrow.slash(id);
        vm.warp(4001);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.TooLate.selector, 4000, 4001));
        escrow.proveShard(id, IEscrow.Shard(0, 4, 4, 4), "", "", new bytes32[](0), "");
        escrow.slash(id);
        _owes(address(0), 1500, 0, 1500);
    }

    function test_samplesMismatchTells() public {
        dataset[2] = 3;
        bytes32 id = _delivered(_terms(address(0)));
        _prove(id, 0, 4, 4);
        _prove(id, 1, 4, 4);
        bytes memory proof = _proof(id, IEscrow.Shard(2, 3, 3, 3));
        vm.expectRevert(abi.encodeWithSelector(IEscrow.SamplesMismatch.selector, 10, 11));
        escrow.proveShard(id, IEscrow.Shard(2, 3, 3, 3), modelPoints, _shardPoints(2), _siblings(2), proof);
    }

    /// @dev Any amounts, either outcome: what came in goes out, split by the terms.
    function test_settlementSplitsByTheTerms(uint128 price, uint128 bond, uint128 penalty, uint32 missing) public {
        IEscrow.Terms memory terms = _terms(address(0));
        terms.price = price;
        terms.bond = bond;
        terms.penalty = uint128(_bound(penalty, 0, bond));
        missing = uint32(_bound(missing, 0, 4));
        vm.deal(buyer, price);
        vm.deal(seller, bond);
        bytes32 id = _delivered(terms);
        _proveAll(id, missing);
        if (missing <= 2) _owes(address(0), 0, uint256(price) + bond, uint256(price) + bond);
        else _owes(address(0), uint256(price) + terms.penalty, bond - terms.penalty, uint256(price) + bond);
    }

    function _refusedTerms(IEscrow.Terms memory terms, bytes memory error_) private {
        vm.expectRevert(error_);
        vm.prank(buyer);
        escrow.open{value: terms.price}(terms);
        _eq(escrow.nonces(buyer), 0, "nonce");
    }
}
