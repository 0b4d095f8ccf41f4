// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Deal} from "./Deal.sol";
import {IAgreement} from "./IAgreement.sol";

/// @title What `open` asks of terms, beside the model.
abstract contract TermsRules is IAgreement, Deal {
    /// @dev Terms that make sense by themselves.
    function _checkTerms(Terms calldata t) internal view {
        _isMoney(t.token);
        if (t.penalty > t.bond) revert PenaltyAboveBond(t.penalty, t.bond);
        if (t.previewFee > t.bond) revert PreviewFeeAboveBond(t.previewFee, t.bond);
        if (t.shards == 0 || t.shards > t.samples) revert ShardsOutOfRange(t.shards, t.samples);
        if (t.previewShards > t.shards) revert PreviewAboveShards(t.previewShards, t.shards);
        if (t.threshold > t.samples) revert ThresholdAboveSamples(t.threshold, t.samples);
        uint256 previewAnswer = uint256(t.previewBy) + t.responseTime;
        uint256 restAnswer = uint256(t.deliverBy) + t.responseTime;
        if (
            block.timestamp >= t.acceptBy || t.acceptBy >= t.previewBy || previewAnswer >= t.deliverBy
                || restAnswer >= t.claimBy
        ) revert DeadlinesOutOfOrder(block.timestamp, t.acceptBy, t.previewBy, t.deliverBy, t.claimBy);
        if (t.mode == Mode.Optimistic && (t.window == 0 || t.proveTime == 0)) {
            revert NoTimeToContest(t.window, t.proveTime);
        }
    }
}
