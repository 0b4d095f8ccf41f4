// Retrievals as stories; the amounts are written by hand, not computed by a model.
import { noticePeriod } from "./scenarios.mjs";
import { teller } from "./story.mjs";

const { step, refused } = teller(["requester", "responder"]);
const terms = {
  shards: 3, samples: 10, maxItems: 5, pricePerItem: 100, scanFee: 70, requesterBond: 30, bond: 530, contestFee: 40,
  acceptBy: 2000, claimBy: 4000, window: 500, proveTime: 300, receiptTime: 200,
};
const dataset = [4, 4, 2]; // items per shard
const model = { registered: true, registeredBlock: 10, retiresAt: 0 };
const four = [[2, 4], [1, 4], [1, 2]]; // [top1, topk] per shard: four match
const six = [[4, 4], [1, 4], [1, 2]];
const none = [[0, 0], [0, 0], [0, 0]];

const open = (value = 600) => step(1000, "requester", "open", { value }, "Open", { requester: [-value, 0] });
const accept = (over = {}) => step(over.time ?? 1500, "responder", "accept", { value: over.bond ?? 530 }, "Accepted", { responder: [-(over.bond ?? 530), 0] });
/** In time to contest until 4000. */
const claim = (counts = four, over = {}) => step(over.time ?? 3500, over.actor ?? "responder", "claim",
  { counts, rejected: over.rejected ?? [] }, over.state ?? "Claimed", {}, over.error ?? "");
const approve = (time, actor, signer, state, moves, error = "") => step(time, actor, "approve", { signer }, state, moves, error);
const contest = (time, index, over = {}) => step(time, over.actor ?? "requester", "contest", { index, value: over.value ?? 40 },
  over.state ?? "Contested", over.error ? {} : { requester: [-40, 0] }, over.error ?? "");
const answer = (time, index, counts, state, over = {}) => step(time, over.actor ?? "stranger", "answer",
  { index, counts, rejected: over.rejected ?? [] }, state, over.error ? {} : { responder: [0, 40] }, over.error ?? "");
const reject = (time, moves) => step(time, "requester", "reject", {}, "Rejected", moves);
const expire = (time, state, moves, actor = "stranger") => step(time, actor, "expire", {}, state, moves);
const withdraw = (actor, amount, state) => step(9000, actor, "withdraw", {}, state, { [actor]: [amount, -amount] });

const accepted = () => [open(), accept()];
const claimed = (counts = four) => [...accepted(), claim(counts)];
const paid = { requester: [0, 130], responder: [0, 1000] };

const scenario = (name, steps, over = {}) =>
  ({ name, model: { ...model, ...over.model }, terms: { ...terms, ...over.terms }, dataset: over.dataset ?? dataset, steps });
const refusedTerms = (name, error, over = {}, block = 11) =>
  scenario(name, [{ ...refused(1000, "requester", "open", { value: 600 }, "None", error), block }], over);

export const retrievalScenarios = [
  // The straight roads.
  scenario("approved: the requester's signature settles at once, whoever brings it", [
    ...claimed(), approve(3600, "stranger", "", "Claimed", {}, "NotSigned"), approve(3600, "responder", "responder", "Claimed", {}, "NotSigned"),
    approve(3600, "stranger", "requester", "Settled", paid), withdraw("responder", 1000, "Settled"), withdraw("requester", 130, "Settled"),
    refused(9001, "requester", "withdraw", {}, "Settled", "NothingToWithdraw"),
  ]),
  scenario("the requester needs no signature, and the last second is in time", [
    ...claimed(), approve(4001, "requester", "", "Claimed", {}, "TooLate"), approve(4000, "requester", "", "Settled", paid),
  ]),
  scenario("silence settles", [...claimed(), refused(4000, "responder", "expire", {}, "Claimed", "TooEarly"), expire(4001, "Settled", paid)]),
  scenario("no more is paid than was asked for", [...claimed(six), expire(4001, "Settled", { requester: [0, 30], responder: [0, 1100] })]),
  scenario("nothing matches: the search is paid all the same", [...claimed(none), expire(4001, "Settled", { requester: [0, 530], responder: [0, 600] })]),

  // Delivery disputed.
  scenario("a rejection burns as much of both", [
    ...claimed(), refused(3600, "responder", "reject", {}, "Claimed", "OnlyRequester"), refused(4001, "requester", "reject", {}, "Claimed", "TooLate"),
    reject(4000, { requester: [0, 100], responder: [0, 170], nobody: [0, 860] }), refused(4000, "requester", "reject", {}, "Rejected", "WrongState"),
  ]),
  scenario("a rejection of all that could be sold takes the whole least bond", [
    ...claimed(six), reject(3600, { responder: [0, 70], nobody: [0, 1060] }),
  ]),
  scenario("a rejection of nothing burns the bonds alone", [...claimed(none), reject(3600, { requester: [0, 500], responder: [0, 570], nobody: [0, 60] })]),

  // Contests.
  scenario("a contested shard is proven and paid for, and the window goes on", [
    ...claimed(), contest(3550, 1), answer(3600, 1, four, "Claimed"), contest(3700, 2), answer(3800, 2, four, "Claimed", { actor: "responder" }),
    refused(4000, "responder", "expire", {}, "Claimed", "TooEarly"), expire(4001, "Settled", paid),
  ]),
  scenario("two contests side by side", [
    ...claimed(), contest(3600, 0), contest(3700, 2), answer(3701, 2, four, "Contested"), answer(4000, 0, four, "Claimed"), approve(4200, "requester", "", "Settled", paid),
  ]),
  scenario("a contested shard that is not proven costs the bond, and gives the fee back", [
    ...claimed(), contest(3600, 0), contest(3700, 1), answer(3701, 1, four, "Contested"), refused(4000, "requester", "expire", {}, "Contested", "TooEarly"),
    answer(4001, 0, four, "Contested", { error: "TooLate" }), expire(4001, "Slashed", { requester: [0, 1170] }), withdraw("responder", 40, "Slashed"),
  ]),
  scenario("after the last answer there is time to judge the items, and none to contest", [
    ...claimed(), contest(4000, 1), answer(4300, 1, four, "Claimed"), contest(4301, 0, { state: "Claimed", error: "TooLate" }),
    refused(4500, "responder", "expire", {}, "Claimed", "TooEarly"), reject(4500, { requester: [0, 100], responder: [0, 170], nobody: [0, 860] }),
  ]),
  scenario("nothing is approved or rejected while a proof is owed", [
    ...claimed(), contest(3600, 0), approve(3600, "requester", "", "Contested", {}, "WrongState"), refused(3600, "requester", "reject", {}, "Contested", "WrongState"),
    refused(3600, "responder", "claim", { counts: four, rejected: [] }, "Contested", "WrongState"), answer(3700, 0, four, "Claimed"),
  ]),
  scenario("contests have their limits", [
    ...accepted(), contest(3000, 0, { state: "Accepted", error: "WrongState" }), claim(), contest(3600, 3, { state: "Claimed", error: "ShardOutOfRange" }),
    contest(3600, 0, { actor: "stranger", state: "Claimed", error: "OnlyRequester" }), contest(3600, 0, { value: 39, state: "Claimed", error: "WrongValue" }),
    contest(4001, 0, { state: "Claimed", error: "TooLate" }), contest(3900, 0), contest(3900, 0, { error: "ShardAlreadyContested" }), contest(4001, 1, { error: "TooLate" }),
    answer(3950, 1, four, "Contested", { error: "ShardNotContested" }), answer(3950, 3, four, "Contested", { error: "ShardOutOfRange" }), answer(4200, 0, four, "Claimed"),
    expire(4401, "Settled", paid),
  ]),
  scenario("proven once is proven", [
    ...claimed(), contest(3600, 0), contest(3600, 1), answer(3700, 0, four, "Contested"), answer(3700, 0, four, "Contested", { error: "ShardAlreadyProven" }),
    contest(3700, 0, { error: "ShardAlreadyContested" }), answer(3700, 1, four, "Claimed"),
  ]),
  scenario("a false count has a leaf that cannot be proven", [
    ...accepted(), claim(six, { rejected: [0] }), contest(3600, 0), answer(3700, 0, four, "Contested", { error: "ShardNotInClaim" }),
    answer(3700, 0, six, "Contested", { error: "ShardNotInClaim" }), answer(3700, 0, six, "Contested", { rejected: [0], error: "ProofRejected" }),
    expire(3901, "Slashed", { requester: [0, 1170] }),
  ]),

  // Claims.
  scenario("nothing claimed: the responder loses the bond", [
    ...accepted(), claim(four, { time: 4001, state: "Accepted", error: "TooLate" }), refused(4000, "requester", "expire", {}, "Accepted", "TooEarly"),
    expire(4001, "Slashed", { requester: [0, 1130] }),
  ]),
  scenario("more than all cannot be claimed", [
    ...accepted(), claim([[4, 4], [4, 4], [3, 2]], { state: "Accepted", error: "ClaimAboveSamples" }),
    claim([[4, 4], [4, 4], [2, 3]], { state: "Accepted", error: "ClaimAboveSamples" }), claim(four, { actor: "requester", state: "Accepted", error: "OnlyResponder" }),
    claim(four, { time: 4000 }), claim(four, { time: 4000, error: "WrongState" }), expire(4501, "Settled", paid),
  ]),

  // Before anything is searched.
  scenario("the requester cancels while open", [
    open(), refused(1001, "responder", "cancel", {}, "Open", "OnlyRequester"), step(2000, "requester", "cancel", {}, "Cancelled", { requester: [0, 600] }),
    refused(2000, "responder", "accept", { value: 530 }, "Cancelled", "WrongState"), withdraw("requester", 600, "Cancelled"),
  ]),
  scenario("nobody accepts", [
    open(), refused(2000, "requester", "expire", {}, "Open", "TooEarly"), refused(2001, "responder", "accept", { value: 530 }, "Open", "TooLate"),
    refused(2001, "requester", "cancel", {}, "Open", "TooLate"), expire(2001, "Cancelled", { requester: [0, 600] }, "requester"),
  ]),
  scenario("accepted in the last second, by the responder alone", [open(), refused(2000, "requester", "accept", { value: 530 }, "Open", "OnlyResponder"), accept({ time: 2000 })]),
  scenario("deposits are the agreed amounts, and a nonce is used once", [
    refused(1000, "requester", "open", { value: 599 }, "None", "WrongValue"), refused(1000, "requester", "open", { value: 601 }, "None", "WrongValue"), open(),
    refused(1001, "requester", "open", { value: 600 }, "Open", "AlreadyOpened"), refused(1500, "responder", "accept", { value: 529 }, "Open", "WrongValue"),
    step(1600, "requester", "cancel", {}, "Cancelled", { requester: [0, 600] }), refused(1601, "requester", "open", { value: 600 }, "Cancelled", "AlreadyOpened"),
  ]),
  scenario("nothing happens to a retrieval that does not exist", [
    ...[["requester", "cancel", {}], ["responder", "accept", { value: 530 }], ["responder", "claim", { counts: four, rejected: [] }], ["requester", "approve", { signer: "" }],
      ["requester", "reject", {}], ["stranger", "expire", {}]].map(([actor, event, args]) => refused(5000, actor, event, args, "None", "UnknownRequest")),
    contest(3000, 0, { state: "None", error: "UnknownRequest" }), answer(3000, 0, four, "None", { error: "UnknownRequest" }),
  ]),

  // Terms that cannot be opened, and the last ones that can.
  refusedTerms("unknown model", "UnknownModel", { model: { registered: false } }),
  refusedTerms("model registered in the same block", "ModelNotEarlier", {}, 10),
  refusedTerms("model retired", "ModelRetiring", { model: { retiresAt: noticePeriod + 900 } }),
  refusedTerms("no shards", "ShardsOutOfRange", { terms: { shards: 0 } }),
  refusedTerms("more shards than items", "ShardsOutOfRange", { terms: { shards: 11 } }),
  refusedTerms("a bond that a rejection would not find", "BondTooSmall", { terms: { bond: 529 } }),
  refusedTerms("acceptBy is now", "DeadlinesOutOfOrder", { terms: { acceptBy: 1000 } }),
  refusedTerms("claimBy is acceptBy", "DeadlinesOutOfOrder", { terms: { claimBy: 2000 } }),
  refusedTerms("no window", "NoTimeToJudge", { terms: { window: 0 } }),
  refusedTerms("no time to prove", "NoTimeToJudge", { terms: { proveTime: 0 } }),
  refusedTerms("no time to judge the items", "NoTimeToJudge", { terms: { receiptTime: 0 } }),
  refusedTerms("longer than the notice period", "AgreementTooLong", { terms: { claimBy: noticePeriod + 1 } }),
  scenario("as long as the notice period", [open()], { terms: { claimBy: noticePeriod } }),
  scenario("one second of everything", [open()], { terms: { acceptBy: 1001, claimBy: 1002, window: 1, proveTime: 1, receiptTime: 1 } }),
  scenario("free items, no bonds", [
    open(0), accept({ bond: 0 }), claim(), approve(3600, "requester", "", "Settled", {}), refused(9000, "requester", "withdraw", {}, "Settled", "NothingToWithdraw"),
  ], { terms: { pricePerItem: 0, scanFee: 0, requesterBond: 0, bond: 0 } }),
];
