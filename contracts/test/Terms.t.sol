// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IDeal} from "../src/IDeal.sol";
import {IShards} from "../src/IShards.sol";
import {Scene} from "./Scene.sol";

/// @title What `open` refuses and stores, and who may call what when; errors with their numbers.
/// @dev The order of states and the flow of money are in agreement.json; here are the arguments of the errors.
contract TermsTest is Scene {
    function test_openStoresAndTells() public {
        IAgreement.Terms memory terms = _terms(address(0));
        bytes32 expected = escrow.agreementIdOf(buyer, 0, terms);
        vm.expectEmit(address(escrow));
        emit IAgreement.Opened(expected, buyer, modelId, seller, 0, terms);
        bytes32 id = _open(terms);
        _eq(id, expected, "id");
        IAgreement.Agreement memory a = escrow.agreement(id);
        _eq(keccak256(abi.encode(a.terms)), keccak256(abi.encode(terms)), "terms");
        _eq(a.buyer, buyer, "buyer");
        _eq(a.seller, seller, "seller");
        _eq(escrow.nonces(buyer), 1, "nonce");
        _eq(address(escrow.registry()), address(registry), "registry");
    }

    function test_idDependsOnChainEscrowBuyerNonceAndTerms() public {
        IAgreement.Terms memory terms = _terms(address(0));
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
        IAgreement.Terms memory terms = _terms(address(0));
        terms.modelId = bytes32(uint256(1));
        _refusedTerms(terms, abi.encodeWithSelector(IDeal.UnknownModel.selector, terms.modelId));
        terms.modelId = modelId;
        vm.roll(B0);
        _refusedTerms(terms, abi.encodeWithSelector(IDeal.ModelNotEarlier.selector, B0, B0));
        vm.roll(B0 + 1);
        vm.prank(seller);
        registry.retire(modelId);
        uint48 retiresAt = registry.model(modelId).retiresAt;
        _refusedTerms(terms, abi.encodeWithSelector(IDeal.ModelRetiring.selector, modelId, retiresAt));
    }

    function test_termsRules() public {
        IAgreement.Terms memory terms = _terms(address(0));
        terms.penalty = terms.bond + 1;
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.PenaltyAboveBond.selector, 501, 500));
        terms = _terms(address(0));
        terms.shards = 0;
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.ShardsOutOfRange.selector, 0, 10));
        (terms.shards, terms.samples) = (3, 2);
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.ShardsOutOfRange.selector, 3, 2));
        terms = _terms(address(0));
        terms.threshold = 11;
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.ThresholdAboveSamples.selector, 11, 10));
    }

    function test_moreTermsRules() public {
        IAgreement.Terms memory terms = _terms(address(0));
        terms.previewFee = 501;
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.PreviewFeeAboveBond.selector, 501, 500));
        terms = _terms(address(0));
        terms.previewShards = 4;
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.PreviewAboveShards.selector, 4, 3));
        terms = _optimistic(address(0));
        terms.window = 0;
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.NoTimeToContest.selector, 0, 300));
        (terms.window, terms.proveTime) = (500, 0);
        _refusedTerms(terms, abi.encodeWithSelector(IAgreement.NoTimeToContest.selector, 500, 0));
    }

    function test_deadlinesAreOrderedAndAhead(uint256 dice) public {
        IAgreement.Terms memory terms = _optimistic(address(0));
        terms.acceptBy = uint48(T0 - 2 + dice % 8);
        terms.previewBy = terms.acceptBy + uint48((dice >> 8) % 3);
        terms.responseTime = uint32((dice >> 16) % 3);
        terms.deliverBy = terms.previewBy + uint48((dice >> 24) % 5);
        terms.claimBy = terms.deliverBy + uint48((dice >> 32) % 5);
        uint256 latest = T0 + registry.NOTICE_PERIOD();
        if ((dice >> 40) % 2 == 0) terms.claimBy = uint48(latest - 800 - 2 + (dice >> 48) % 5);
        bool ordered = T0 < terms.acceptBy && terms.acceptBy < terms.previewBy
            && terms.previewBy + terms.responseTime < terms.deliverBy
            && terms.deliverBy + terms.responseTime < terms.claimBy;
        if (terms.claimBy + 800 > latest) {
            bytes memory error_ =
                abi.encodeWithSelector(IShards.AgreementTooLong.selector, uint256(terms.claimBy) + 800, latest);
            _refusedTerms(terms, error_);
        } else if (!ordered) {
            bytes memory error_ = abi.encodeWithSelector(
                IAgreement.DeadlinesOutOfOrder.selector,
                T0,
                terms.acceptBy,
                terms.previewBy,
                terms.deliverBy,
                terms.claimBy
            );
            _refusedTerms(terms, error_);
        } else {
            _is(_open(terms), IAgreement.State.Open);
        }
    }

    function test_unknownAgreement(bytes32 id) public {
        vm.expectRevert(abi.encodeWithSelector(IAgreement.UnknownAgreement.selector, id));
        escrow.expire(id);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.UnknownAgreement.selector, id));
        escrow.cancel(id);
    }

    function test_wrongStateTells() public {
        bytes32 id = _open(_terms(address(0)));
        vm.expectRevert(abi.encodeWithSelector(IAgreement.WrongState.selector, IAgreement.State.Open));
        escrow.draw(id);
    }

    function test_callersAndDeadlinesTell() public {
        bytes32 id = _open(_optimistic(address(0)));
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.OnlyBuyer.selector, buyer, stranger));
        escrow.cancel(id);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooEarly.selector, 2000, T0));
        escrow.expire(id);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.OnlySeller.selector, seller, stranger));
        escrow.accept{value: 500}(id);
        vm.stopPrank();

        vm.warp(2001);
        vm.expectRevert(abi.encodeWithSelector(IDeal.TooLate.selector, 2000, 2001));
        vm.prank(seller);
        escrow.accept{value: 500}(id);
        vm.warp(2000);
        vm.expectEmit(address(escrow));
        emit IAgreement.Accepted(id, uint48(B0 + 2));
        vm.prank(seller);
        escrow.accept{value: 500}(id);

        vm.expectRevert(abi.encodeWithSelector(IAgreement.DrawTooEarly.selector, B0 + 2, B0 + 1));
        escrow.draw(id);
        vm.roll(B0 + 2 + 257);
        vm.expectRevert(abi.encodeWithSelector(IAgreement.DrawTooLate.selector, B0 + 2, B0 + 2 + 257));
        escrow.draw(id);
        vm.roll(B0 + 2 + 256);
        bytes32 seed = keccak256(abi.encode(blockhash(B0 + 2), id));
        _isTrue(blockhash(B0 + 2) != 0, "known to this chain");
        vm.expectEmit(address(escrow));
        emit IAgreement.Drawn(id, seed);
        escrow.draw(id);
        _eq(escrow.agreement(id).seed, seed, "seed");
    }

    function test_samplesMismatchTells() public {
        dataset[2] = 3;
        bytes32 id = _delivered(_terms(address(0)));
        _prove(id, 0, 4, 4);
        _prove(id, 1, 4, 4);
        IShards.ShardProof memory last = _shardProof(id, IShards.Shard(2, 3, 3, 3));
        vm.expectRevert(abi.encodeWithSelector(IAgreement.SamplesMismatch.selector, 10, 11));
        escrow.proveShard(id, last);
    }

    /// @dev Any amounts, either outcome: what came in goes out, split by the terms.
    function test_settlementSplitsByTheTerms(uint128 price, uint128 bond, uint128 penalty, uint32 missing) public {
        IAgreement.Terms memory terms = missing % 2 == 0 ? _terms(address(0)) : _optimistic(address(0));
        (terms.price, terms.bond, terms.buyerBond) = (price, bond, penalty);
        terms.penalty = uint128(_bound(penalty, 0, bond));
        terms.previewFee = 0;
        missing = uint32(_bound(missing, 0, 4));
        uint256 deposit = uint256(price) + terms.buyerBond;
        vm.deal(buyer, deposit);
        vm.deal(seller, bond);
        bytes32 id = _delivered(terms);
        if (terms.mode == IAgreement.Mode.Eager) {
            _proveAll(id, missing);
        } else {
            _claim(id, _counts(id, missing));
            vm.warp(block.timestamp + 501);
            escrow.expire(id);
        }
        uint256 all = deposit + bond;
        if (missing <= 2) _owes(address(0), terms.buyerBond, uint256(price) + bond, all);
        else _owes(address(0), deposit + terms.penalty, bond - terms.penalty, all);
    }

    function _refusedTerms(IAgreement.Terms memory terms, bytes memory error_) private {
        vm.expectRevert(error_);
        vm.prank(buyer);
        escrow.open{value: terms.price + terms.buyerBond}(terms);
        _eq(escrow.nonces(buyer), 0, "nonce");
    }
}
