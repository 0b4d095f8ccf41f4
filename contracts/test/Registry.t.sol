// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "../src/IAgreement.sol";
import {IModelRegistry} from "../src/IModelRegistry.sol";
import {Account} from "./mocks/Accounts.sol";
import {Scene} from "./Scene.sol";

/// @title Every rule of the registry.
contract RegistryTest is Scene {
    function test_registerStoresAndTells() public {
        vm.deal(stranger, 7);
        bytes32 expected = registry.modelIdOf(stranger, 0, ARCHITECTURE, verifier, keccak256(modelPoints), 2);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelRegistered(
            expected, stranger, ARCHITECTURE, verifier, verifier.codehash, 7, modelPoints, 2, "http://[::1]:80"
        );
        vm.prank(stranger);
        bytes32 id = registry.register{value: 7}(ARCHITECTURE, verifier, modelPoints, 2, "http://[::1]:80");
        _eq(id, expected, "id");

        IModelRegistry.Model memory m = registry.model(id);
        _eq(m.seller, stranger, "seller");
        _eq(m.stake, 7, "stake");
        _eq(m.verifier, verifier, "verifier");
        _eq(m.verifierCodehash, verifier.codehash, "codehash");
        _eq(m.registeredBlock, block.number, "block");
        _eq(m.retiresAt, 0, "retiresAt");
        _eq(m.shardPoints, 2, "shard points");
        _eq(m.architecture, ARCHITECTURE, "architecture");
        _eq(m.modelPointsHash, keccak256(modelPoints), "points");
    }

    function test_sameModelTwiceIsTwoModels() public {
        _isTrue(_register(1) != _register(1), "ids differ");
    }

    function test_idDependsOnEverything() public {
        bytes32 h = keccak256(modelPoints);
        bytes32 id = registry.modelIdOf(seller, 0, ARCHITECTURE, verifier, h, 2);
        _isTrue(id != registry.modelIdOf(buyer, 0, ARCHITECTURE, verifier, h, 2), "seller");
        _isTrue(id != registry.modelIdOf(seller, 1, ARCHITECTURE, verifier, h, 2), "nonce");
        _isTrue(id != registry.modelIdOf(seller, 0, h, verifier, h, 2), "architecture");
        _isTrue(id != registry.modelIdOf(seller, 0, ARCHITECTURE, buyer, h, 2), "verifier");
        _isTrue(id != registry.modelIdOf(seller, 0, ARCHITECTURE, verifier, id, 2), "points");
        _isTrue(id != registry.modelIdOf(seller, 0, ARCHITECTURE, verifier, h, 3), "shard points");
        vm.chainId(2);
        _isTrue(id != registry.modelIdOf(seller, 0, ARCHITECTURE, verifier, h, 2), "chain");
    }

    function test_stakeIsRequiredAndFits() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoStake.selector));
        registry.register(ARCHITECTURE, verifier, modelPoints, 2, "");
        vm.deal(address(this), 1 << 96);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.StakeTooLarge.selector, 1 << 96));
        registry.register{value: 1 << 96}(ARCHITECTURE, verifier, modelPoints, 2, "");
    }

    function test_verifierNeedsCode() public {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoShardPoints.selector));
        registry.register{value: 1}(ARCHITECTURE, verifier, modelPoints, 0, "");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.VerifierWithoutCode.selector, buyer));
        registry.register{value: 1}(ARCHITECTURE, buyer, modelPoints, 2, "");
    }

    function test_pointsAreWholeAndSome(uint256 length) public {
        length = _bound(length, 0, 1000);
        bytes memory points = new bytes(length);
        if (length == 0 || length % 64 != 0) {
            vm.expectRevert(abi.encodeWithSelector(IModelRegistry.PointsLength.selector, length));
        }
        registry.register{value: 1}(ARCHITECTURE, verifier, points, 2, "");
    }

    function test_stakeComesBackAfterTheNotice() public {
        uint256 before = seller.balance;
        uint40 retiresAt = uint40(T0) + registry.NOTICE_PERIOD();

        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotRetired.selector, modelId));
        registry.withdrawStake(modelId);

        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelRetired(modelId, retiresAt);
        vm.prank(seller);
        registry.retire(modelId);

        vm.warp(retiresAt);
        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.StakeLocked.selector, retiresAt, uint256(retiresAt)));
        registry.withdrawStake(modelId);

        vm.warp(retiresAt + 1);
        vm.expectEmit(address(registry));
        emit IModelRegistry.StakeWithdrawn(modelId, seller, 1);
        vm.prank(seller);
        registry.withdrawStake(modelId);
        _eq(seller.balance, before + 1, "stake back");
        _eq(address(registry).balance, 0, "registry empty");

        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.StakeAlreadyWithdrawn.selector, modelId));
        registry.withdrawStake(modelId);
    }

    function test_noticeIsGivenOnce() public {
        vm.prank(seller);
        registry.retire(modelId);
        uint40 retiresAt = registry.model(modelId).retiresAt;
        vm.warp(T0 + 5);
        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyRetired.selector, modelId, retiresAt));
        registry.retire(modelId);
    }

    function test_onlyTheSellerRetiresAndWithdraws() public {
        bytes memory notYours = abi.encodeWithSelector(IModelRegistry.OnlySeller.selector, seller, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(notYours);
        registry.retire(modelId);
        vm.expectRevert(notYours);
        registry.withdrawStake(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownModel.selector, bytes32(0)));
        registry.retire(bytes32(0));
        vm.stopPrank();
    }

    function test_sellerWhoRefusesEtherKeepsItsStakeInTheRegistry() public {
        (Account account, bytes32 id) = _contractSeller();
        account.refuse(true);
        bytes memory call_ = abi.encodeCall(registry.withdrawStake, id);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.EtherRefused.selector, address(account)));
        account.act(address(registry), 0, call_);
        account.refuse(false);
        account.act(address(registry), 0, call_);
        _eq(address(account).balance, 9, "stake back");
    }

    function test_stakeIsPaidOnceUnderReentry() public {
        (Account account, bytes32 id) = _contractSeller();
        bytes memory call_ = abi.encodeCall(registry.withdrawStake, id);
        account.arm(address(registry), call_);
        account.act(address(registry), 0, call_);
        _isTrue(account.called() && !account.succeeded(), "re-entered and refused");
        _eq(address(account).balance, 9, "paid once");
        _eq(address(registry).balance, 1, "the other model's stake");
    }

    /// @dev Longest agreement, notice in the same second: at the last second for a contested proof the stake is still there.
    function test_stakeOutlivesEveryAgreement() public {
        uint48 claimBy = uint48(T0) + registry.NOTICE_PERIOD() - 800;
        _openUntil(claimBy);
        vm.prank(seller);
        registry.retire(modelId);
        vm.warp(claimBy + 800);
        vm.prank(seller);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.StakeLocked.selector, claimBy + 800, claimBy + 800));
        registry.withdrawStake(modelId);
    }

    function _openUntil(uint48 claimBy) private {
        IAgreement.Terms memory terms = _optimistic(address(token));
        terms.claimBy = claimBy;
        _open(terms);
    }

    function _contractSeller() private returns (Account account, bytes32 id) {
        account = new Account();
        vm.deal(address(account), 9);
        bytes memory call_ = abi.encodeCall(registry.register, (ARCHITECTURE, verifier, modelPoints, 2, ""));
        id = abi.decode(account.act(address(registry), 9, call_), (bytes32));
        account.act(address(registry), 0, abi.encodeCall(registry.retire, id));
        vm.warp(registry.model(id).retiresAt + 1);
    }
}
