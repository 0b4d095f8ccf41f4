// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAgreement} from "./IAgreement.sol";
import {IShards} from "./IShards.sol";
import {SumTree} from "./SumTree.sol";

/// @title Holds both sides' money and pays by proof or by deadline, never by trust.
interface IEscrow is IShards, IAgreement {
    /// @notice Opens an agreement and deposits price and buyer's bond.
    /// @return id keccak256(abi.encode(chainid, escrow, buyer, nonce, terms)).
    function open(Terms calldata terms) external payable returns (bytes32 id);

    /// @notice The buyer takes an offer back that nobody accepted.
    function cancel(bytes32 id) external;

    /// @notice The seller locks the bond. Names the block whose hash draws the preview.
    function accept(bytes32 id) external payable;

    /// @notice Anyone records the draw: from the block after `drawBlock` on, while the chain knows its hash.
    function draw(bytes32 id) external;

    /// @notice The buyer puts on record that it handed over the preview, or the rest. Needed only where the seller gives
    /// no receipt: from here the seller answers (`proceed` or `acknowledge`, `decline`, `deny`) or has declined.
    function send(bytes32 id, bytes32 ciphertextHash) external;

    /// @notice The seller has the preview, it opens its commitments, and the seller goes on.
    /// @param signature The seller's EIP-712 signature of `Preview(bytes32 agreement,bytes32 ciphertextHash)` (ERC-1271
    /// for contracts); anyone may bring it. Not looked at when the seller itself calls.
    function proceed(bytes32 id, bytes32 ciphertextHash, bytes calldata signature) external;

    /// @notice The seller holds the whole opened test set. From here it answers for it with its bond.
    /// @param signature As above, of `Receipt(bytes32 agreement,bytes32 ciphertextHash)`.
    function acknowledge(bytes32 id, bytes32 ciphertextHash, bytes calldata signature) external;

    /// @notice The seller goes away before its receipt. Free before the draw, the preview fee after it.
    function decline(bytes32 id) external;

    /// @notice The seller says that what the buyer calls sent did not come or is no good. The chain cannot know who is
    /// right, so both lose and nobody gains: the preview fee and the buyer's bond are burnt.
    function deny(bytes32 id) external;

    /// @notice The seller says how many are correct: the root of its sum tree over all shards and both totals.
    /// @param node Hash of the tree's top node.
    function claim(bytes32 id, bytes32 node, uint32 top1, uint32 topk) external;

    /// @notice The buyer takes the claim as it is, which settles at once.
    /// @param signature The buyer's EIP-712 signature of `Approval(bytes32 agreement,bytes32 claimRoot)`; anyone may
    /// bring it. Not looked at when the buyer itself calls.
    function approve(bytes32 id, bytes calldata signature) external;

    /// @notice The buyer wants the proof of this shard on chain, and deposits the contest fee for it.
    function contest(bytes32 id, uint32 index) external payable;

    /// @notice Brings the proof of a contested shard: its leaf in the claim, and what makes the leaf true. Anyone may.
    /// @param path Siblings in the claim's sum tree, from the leaf up.
    function answer(bytes32 id, ShardProof calldata shardProof, SumTree.Node[] calldata path) external;

    /// @notice Eager mode: counts one proven shard; anyone may bring it. The last one settles.
    /// A refused proof reverts and changes nothing.
    function proveShard(bytes32 id, ShardProof calldata shardProof) external;

    /// @notice After the deadline of its state, anyone: what this state comes to when nobody does anything.
    function expire(bytes32 id) external;

    /// @notice The stored agreement; all zero when unknown.
    function agreement(bytes32 id) external view returns (Agreement memory);

    /// @notice The id `open` gives to these terms.
    function agreementIdOf(address buyer, uint256 nonce, Terms calldata terms) external view returns (bytes32);

    /// @notice EIP-712 digest of what the seller signs for a preview.
    function previewDigest(bytes32 id, bytes32 ciphertextHash) external view returns (bytes32);

    /// @notice EIP-712 digest of the receipt the seller signs.
    function receiptDigest(bytes32 id, bytes32 ciphertextHash) external view returns (bytes32);

    /// @notice EIP-712 digest of the approval the buyer signs.
    function approvalDigest(bytes32 id, bytes32 claimRoot) external view returns (bytes32);
}
