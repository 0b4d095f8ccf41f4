// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDeal} from "./IDeal.sol";
import {IShards} from "./IShards.sol";
import {SumTree} from "./SumTree.sol";

/// @title Trustless retrieval: which items of a committed corpus does a registered model put into a class?
/// @notice A requester asks for the items of one class; the responder, owner of model and corpus, claims how many there
/// are, proves it shard by shard where it is asked to, hands the items over off chain, and is paid by the item. The
/// shards under the dataset root are the corpus's with the wanted class as the label of every item, which both sides
/// compute from the published corpus; so `top1` of a shard's proof is the number of its items that the model puts there.
///
/// Every state that is not terminal has one deadline, the last second of its own actions; from the next second on anyone
/// may call `expire`, which does that state's default and nothing else does anything.
interface IRetrieval is IShards, IDeal {
    enum State {
        None,
        /// Fee, price and the requester's bond are locked; the responder may accept.
        Open,
        /// The responder's bond is locked too; it claims or loses it.
        Accepted,
        /// The responder said how many items match and sealed them; the requester looks.
        Claimed,
        /// The requester asked for proofs on chain.
        Contested,
        // The rest absorb: nothing changes the retrieval any more.

        /// Ended before acceptance.
        Cancelled,
        /// Paid by the count.
        Settled,
        /// The requester says that the items did not come or do not open: nobody gains by that.
        Rejected,
        /// No claim, or a contested shard not proven: the responder lost its bond.
        Slashed
    }

    /// @notice What the requester offers. Amounts in wei or token units, times in Unix seconds.
    struct Terms {
        /// Model in the registry, registered in an earlier block.
        bytes32 modelId;
        /// Root over the published corpus, for the record.
        bytes32 corpusRoot;
        /// Keccak Merkle root over the shards, every item labelled with the wanted class.
        bytes32 datasetRoot;
        /// Key the matching items are sealed to (X25519).
        bytes32 readingKey;
        /// ERC-20 of every amount; address(0) is ether.
        address token;
        /// Leaves of the dataset root, at least 1.
        uint32 shards;
        /// Items of the corpus, at least one a shard.
        uint32 samples;
        /// The class asked for.
        uint16 wantedClass;
        /// Most items that are paid for and handed over.
        uint32 maxItems;
        /// Paid for each matching item, up to `maxItems`.
        uint128 pricePerItem;
        /// Paid for a claim that stands, whatever matches: the work is the same.
        uint128 scanFee;
        /// Deposited by the requester; burnt when it rejects a delivery.
        uint128 requesterBond;
        /// Deposited by the responder; at least maxItems * pricePerItem + requesterBond.
        uint128 bond;
        /// Deposited by the requester for each shard it contests, earned by its proof.
        uint128 contestFee;
        /// Last second to accept.
        uint48 acceptBy;
        /// Last second to claim.
        uint48 claimBy;
        /// Seconds for the requester to look at a claim.
        uint32 window;
        /// Seconds for the responder to bring a contested proof.
        uint32 proveTime;
        /// Least seconds for the requester to judge the items once its contests are answered.
        uint32 receiptTime;
    }

    /// @notice A retrieval and how far it came.
    struct Request {
        Terms terms;
        address requester;
        State state;
        /// Last second of this state's own actions; 0 in a terminal state.
        uint48 deadline;
        /// Contested shards not proven yet.
        uint32 contests;
        /// Owner of the model, payee of every proof.
        address responder;
        /// Items that match, as claimed.
        uint32 matches;
        /// Last second to contest.
        uint48 windowEnd;
        /// Root of the claim, its totals included; 0 until claimed.
        bytes32 claimRoot;
        /// Hash of the sealed items.
        bytes32 ciphertextHash;
    }

    event Opened(
        bytes32 indexed id,
        address indexed requester,
        bytes32 indexed modelId,
        address responder,
        uint256 nonce,
        Terms terms
    );
    event Accepted(bytes32 indexed id);
    event Claimed(bytes32 indexed id, bytes32 claimRoot, uint32 matches, bytes32 ciphertextHash, uint48 windowEnd);
    event Approved(bytes32 indexed id);
    event Contested(bytes32 indexed id, uint32 indexed index, uint48 answerBy);
    event ShardProven(bytes32 indexed id, uint32 indexed index, uint32 valid, uint32 top1, uint32 topk);
    event Cancelled(bytes32 indexed id);
    event Settled(bytes32 indexed id, uint32 paidItems);
    event Rejected(bytes32 indexed id, uint256 burnt);
    event Slashed(bytes32 indexed id);

    // Terms that open refuses, beside those of every deal. Errors about shards, proofs and claims are those of `IShards`.
    /// @notice The requester opened a retrieval with these terms and this nonce before.
    error AlreadyOpened(bytes32 id);
    /// @notice 1 <= shards <= samples.
    error ShardsOutOfRange(uint32 shards, uint32 samples);
    /// @notice What a rejection burns of the responder's must be there: maxItems * pricePerItem + requesterBond.
    error BondTooSmall(uint256 expected, uint128 found);
    /// @notice now < acceptBy < claimBy.
    error DeadlinesOutOfOrder(uint256 now_, uint48 acceptBy, uint48 claimBy);
    /// @notice A claim that nobody could judge in time, or whose proof could never be in time.
    error NoTimeToJudge(uint32 window, uint32 proveTime, uint32 receiptTime);

    // Who, what, when.
    error UnknownRequest(bytes32 id);
    /// @notice Nothing of the kind happens in this state.
    error WrongState(State found);
    error OnlyRequester(address requester, address caller);
    error OnlyResponder(address responder, address caller);

    /// @notice Asks, and deposits scanFee + maxItems * pricePerItem + requesterBond.
    /// @param nonce Any number; the same terms may be asked again under another one.
    /// @return id keccak256(abi.encode(chainid, this contract, requester, nonce, terms)), known before it is sent.
    function open(Terms calldata terms, uint256 nonce) external payable returns (bytes32 id);

    /// @notice The requester takes an offer back that nobody accepted.
    function cancel(bytes32 id) external;

    /// @notice The responder locks its bond.
    function accept(bytes32 id) external payable;

    /// @notice The responder says how many items match: the root of its sum tree over all shards, and both totals.
    /// @param node Hash of the tree's top node.
    /// @param top1 Items that match.
    /// @param topk Items whose label is within the verifier's top k: part of the tree's sums, of no other use.
    /// @param ciphertextHash Of the sealed matching items.
    function claim(bytes32 id, bytes32 node, uint32 top1, uint32 topk, bytes32 ciphertextHash) external;

    /// @notice The requester has the items; settles at once.
    /// @param signature The requester's EIP-712 signature of
    /// `Approval(bytes32 retrieval,bytes32 claimRoot,bytes32 ciphertextHash)` (ERC-1271 for contracts); anyone may bring
    /// it. Not looked at when the requester itself calls.
    function approve(bytes32 id, bytes calldata signature) external;

    /// @notice The requester wants the proof of this shard on chain, and deposits the contest fee for it.
    function contest(bytes32 id, uint32 index) external payable;

    /// @notice Brings the proof of a contested shard: its leaf in the claim, and what makes the leaf true. Anyone may.
    /// @param path Siblings in the claim's sum tree, from the leaf up.
    function answer(bytes32 id, ShardProof calldata shardProof, SumTree.Node[] calldata path) external;

    /// @notice The requester says that the items did not come, do not open or are not those that match. The chain cannot
    /// know who is right, so both lose: what the items cost and the requester's bond are burnt, and as much of the
    /// responder's bond. The scan fee is paid: the count stood.
    function reject(bytes32 id) external;

    /// @notice After the deadline of its state, anyone: what this state comes to when nobody does anything.
    function expire(bytes32 id) external;

    /// @notice The stored retrieval; all zero when unknown.
    function request(bytes32 id) external view returns (Request memory);

    /// @notice The id `open` gives to these terms.
    function requestIdOf(address requester, uint256 nonce, Terms calldata terms) external view returns (bytes32);

    /// @notice EIP-712 digest of the approval the requester signs.
    function approvalDigest(bytes32 id, bytes32 claimRoot, bytes32 ciphertextHash) external view returns (bytes32);
}
