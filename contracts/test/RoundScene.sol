// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPredictions} from "../src/IPredictions.sol";
import {Predictions} from "../src/Predictions.sol";
import {World} from "./World.sol";

/// @title A predictions contract, and batches of three inputs.
/// @dev Statement and context are rebuilt here from their definitions, not through the contracts.
abstract contract RoundScene is World {
    address internal constant ETHER = address(0);

    Predictions internal rounds;
    uint256 internal nonces;

    function _deploy() internal override returns (address) {
        rounds = new Predictions(registry);
        return address(rounds);
    }

    function _contract() internal view override returns (address) {
        return address(rounds);
    }

    // ---- the road, step by step

    function _terms(address money) internal view returns (IPredictions.Terms memory) {
        return IPredictions.Terms({
            modelId: modelId,
            token: money,
            batches: 10,
            price: 100,
            bond: 5000,
            contestFee: 40,
            acceptBy: 2000,
            serveBy: 3000,
            window: 500,
            proveTime: 300
        });
    }

    function _open(IPredictions.Terms memory terms) internal returns (bytes32) {
        vm.prank(buyer);
        return rounds.open{value: terms.token == address(0) ? uint256(terms.batches) * terms.price : 0}(++nonces, terms);
    }

    function _serving(IPredictions.Terms memory terms) internal returns (bytes32 id) {
        id = _open(terms);
        vm.prank(seller);
        rounds.accept{value: terms.token == address(0) ? terms.bond : 0}(id);
    }

    function _closed(IPredictions.Terms memory terms, uint32 count) internal returns (bytes32 id) {
        id = _serving(terms);
        bytes memory voucher = _sign(BUYER_KEY, rounds.voucherDigest(id, count));
        vm.prank(seller);
        rounds.close(id, count, voucher);
    }

    /// @dev Batch `index` of 3 inputs, whose outputs are as `salt` says.
    function _prediction(uint32 index, uint256 salt) internal pure returns (IPredictions.Prediction memory) {
        return IPredictions.Prediction(index, 3, keccak256(_shardPoints(index, salt)));
    }

    function _contest(bytes32 id, uint32 index, uint256 salt) internal {
        IPredictions.Terms memory terms = rounds.round(id).terms;
        IPredictions.Prediction memory p = _prediction(index, salt);
        bytes memory signature = _sign(SELLER_KEY, rounds.predictionDigest(id, p));
        uint256 value = terms.token == address(0) ? terms.contestFee : 0;
        vm.prank(buyer);
        rounds.contest{value: value}(id, p, signature);
    }

    function _answer(bytes32 id, uint32 index, uint256 salt) internal {
        rounds.answer(id, _proven(id, index, salt));
    }

    // ---- the definitions

    function _shardPoints(uint256 index, uint256 salt) internal pure returns (bytes memory) {
        return abi.encode(1000 + index, 2000 + index, 3000 + salt, 4000 + salt);
    }

    /// @dev What the digest verifier accepts: all three inputs get the output that is committed.
    function _proven(bytes32 id, uint32 index, uint256 salt)
        internal
        view
        returns (IPredictions.PredictionProof memory)
    {
        bytes memory points = _shardPoints(index, salt);
        bytes memory statement = bytes.concat(modelPoints, points, abi.encode(3, 3, 3, _context(id, index)));
        return IPredictions.PredictionProof(index, 3, modelPoints, points, abi.encode(keccak256(statement)));
    }

    // ---- what is looked at

    function _is(bytes32 id, IPredictions.State expected) internal view {
        _eq(uint256(rounds.round(id).state), uint256(expected), "state");
    }

    function _refusedContest(
        bytes32 id,
        address who,
        IPredictions.Prediction memory p,
        bytes memory signature,
        bytes memory error_
    ) internal {
        vm.expectRevert(error_);
        vm.prank(who);
        rounds.contest{value: 40}(id, p, signature);
    }

    function _wrongState(IPredictions.State found) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPredictions.WrongState.selector, found);
    }
}
