// The agreement's rules as stories: who does what when, what state follows, whose money moves.
// `make.mjs` writes them out as stories.jsonl; the amounts are written by hand, not computed by a model.
import { teller } from "./story.mjs";

export const noticePeriod = 2_592_000;

const terms = {
  shards: 3, samples: 10, threshold: 8, metric: "top1", mode: "optimistic",
  price: 1000, buyerBond: 100, bond: 500, penalty: 200, previewFee: 50, contestFee: 40,
  acceptBy: 2000, previewBy: 2400, deliverBy: 3000, claimBy: 4000,
  previewShards: 2, responseTime: 100, window: 500, proveTime: 300,
};
const eager = { mode: "eager", previewShards: 0 };
const dataset = [4, 4, 2]; // valid samples per shard
const model = { registered: true, registeredBlock: 10, retiresAt: 0 };
const all = [[4, 4], [4, 4], [2, 2]]; // [top1, topk] per shard: everything right
const seven = [[3, 4], [3, 4], [1, 2]];

const { money, step } = teller(["buyer", "seller"]);
const at = (block, told) => ({ ...told, block });

const open = (over = {}) => {
  const value = (over.price ?? 1000) + (over.buyerBond ?? 100);
  return step(1000, "buyer", "open", { value }, "Open", { buyer: [-value, 0] });
};
const accept = (state = "Accepted", bond = 500) => step(1500, "seller", "accept", { value: bond }, state, { seller: [-bond, 0] });
const draw = (over = {}) => at(over.block ?? 13, step(over.time ?? 2100, over.actor ?? "stranger", "draw", {}, over.error ? "Accepted" : "Drawn", {}, over.error ?? ""));
const later = (time, actor, event, args, state, moves, error) => at(13, step(time, actor, event, args, state, moves, error));
const send = (time, state, actor = "buyer", error = "") => later(time, actor, "send", {}, state, {}, error);
const signed = (time, actor, event, signer, state, error) => later(time, actor, event, { signer }, state, {}, error);
const proceed = () => signed(2300, "seller", "proceed", "", "Previewed");
const acknowledge = (time = 2500) => signed(time, "seller", "acknowledge", "", "Delivered");
const claim = (counts = all, over = {}) => later(over.time ?? 3500, over.actor ?? "seller", "claim", { counts, rejected: over.rejected ?? [] }, over.state ?? "Claimed", {}, over.error ?? "");
const contest = (time, index, state = "Contested", error = "") =>
  later(time, "buyer", "contest", { value: 40, index }, state, error ? {} : { buyer: [-40, 0] }, error);
const answer = (time, index, counts, state, over = {}) =>
  later(time, over.actor ?? "seller", "answer", { index, counts, rejected: over.rejected ?? [] }, state, over.error ? {} : { seller: [0, 40] }, over.error ?? "");
const prove = (index, top1, topk, state = "Delivered", moves = {}, over = {}) =>
  later(over.time ?? 3500, over.actor ?? "seller", "proveShard",
    { index, valid: over.valid ?? dataset[index] ?? 1, top1, topk, accepted: over.accepted ?? true }, state, moves, over.error ?? "");
const refused = (time, actor, event, args, state, error) => later(time, actor, event, args, state, {}, error);
const expire = (time, state, moves, actor = "stranger") => later(time, actor, "expire", {}, state, moves);
const withdraw = (actor, amount, state, time = 9000) => later(time, actor, "withdraw", {}, state, { [actor]: [amount, -amount] });

const drawn = () => [open(), accept(), draw()];
const previewed = () => [...drawn(), proceed()];
const delivered = () => [...previewed(), acknowledge()];
const deliveredEagerly = () => [open(), accept("Previewed"), acknowledge()];
const won = { buyer: [0, 100], seller: [0, 1500] };
const lost = { buyer: [0, 1300], seller: [0, 300] };

const scenario = (name, steps, over = {}) => ({
  name,
  model: { ...model, ...over.model },
  terms: { ...terms, ...over.terms },
  dataset: over.dataset ?? dataset,
  steps,
});
const scenarioEager = (name, steps, over = {}) => scenario(name, steps, { ...over, terms: { ...eager, ...over.terms } });
const refusedTerms = (name, error, over = {}, block = 11) => scenario(name,
  [at(block, step(1000, "buyer", "open", { value: 1100 }, "None", {}, error))], over);

export const scenarios = [
  // The straight roads.
  scenario("approved: the buyer's signature settles at once, whoever brings it", [
    ...delivered(), claim(), signed(3501, "stranger", "approve", "buyer", "Settled"),
  ].map((told, i, steps) => i === steps.length - 1 ? { ...told, deltas: money(won) } : told).concat(
    withdraw("seller", 1500, "Settled"), withdraw("buyer", 100, "Settled"))),
  scenario("silence settles, for less than the threshold too", [
    ...delivered(), claim(seven), refused(4000, "seller", "expire", {}, "Claimed", "TooEarly"), expire(4001, "Settled", lost),
  ]),
  scenario("metric top-k counts what top-1 would not", [
    ...delivered(), claim([[1, 4], [0, 4], [0, 0]]), expire(4001, "Settled", won),
  ], { terms: { metric: "topk" } }),
  scenario("a contested shard is proven, paid for, and the window goes on", [
    ...delivered(), claim(), contest(3600, 1), answer(3900, 1, all, "Claimed", { actor: "stranger" }),
    contest(4000, 2), answer(4300, 2, all, "Claimed"), expire(4301, "Settled", won),
  ]),
  scenario("two contests side by side", [
    ...delivered(), claim(), contest(3600, 0), contest(3700, 2), answer(3701, 2, all, "Contested"),
    answer(4000, 0, all, "Claimed"), later(4000, "buyer", "approve", { signer: "" }, "Settled", won),
  ]),
  scenario("a contested shard that is not proven costs the bond, and gives the fees back", [
    ...delivered(), claim(), contest(3600, 0), contest(3700, 1), answer(3701, 1, all, "Contested"),
    refused(4000, "buyer", "expire", {}, "Contested", "TooEarly"), answer(4001, 0, all, "Contested", { error: "TooLate" }),
    expire(4001, "Slashed", { buyer: [0, 1640] }),
  ]),
  scenario("no preview: acceptance goes straight to the delivery", [
    open(), accept("Previewed"), acknowledge(3000), claim(all, { time: 4000 }), expire(4501, "Settled", won),
  ], { terms: { previewShards: 0 } }),
  scenario("the sender needs no signature, anybody else does", [
    ...drawn(), signed(2200, "stranger", "proceed", "", "Drawn", "NotSigned"), signed(2200, "buyer", "proceed", "buyer", "Drawn", "NotSigned"),
    signed(2200, "buyer", "proceed", "seller", "Previewed"), signed(2300, "stranger", "acknowledge", "stranger", "Previewed", "NotSigned"),
    signed(2300, "stranger", "acknowledge", "seller", "Delivered"), claim(), signed(3600, "seller", "approve", "seller", "Claimed", "NotSigned"),
    later(3600, "buyer", "approve", { signer: "" }, "Settled", won),
  ]),

  // Delivery, and who is to blame.
  scenario("the buyer delivers no preview", [
    ...drawn(), refused(2400, "seller", "expire", {}, "Drawn", "TooEarly"), send(2401, "Drawn", "buyer", "TooLate"),
    expire(2401, "Forfeited", { buyer: [0, 1000], seller: [0, 600] }),
  ]),
  scenario("the seller says nothing to a preview that is said to be sent", [
    ...drawn(), send(2400, "PreviewSent"), signed(2501, "seller", "proceed", "", "PreviewSent", "TooLate"),
    expire(2501, "Declined", { buyer: [0, 1150], seller: [0, 450] }),
  ]),
  scenario("the seller answers a preview that is said to be sent", [...drawn(), send(2400, "PreviewSent"), signed(2500, "stranger", "proceed", "seller", "Previewed")]),
  scenario("the seller denies a preview: both lose, nobody gains", [
    ...drawn(), refused(2300, "seller", "deny", {}, "Drawn", "WrongState"), send(2400, "PreviewSent"),
    later(2450, "seller", "deny", {}, "Denied", { buyer: [0, 1000], seller: [0, 450], nobody: [0, 150] }),
  ]),
  scenario("going away after the draw costs the preview fee", [
    ...drawn(), later(2300, "seller", "decline", {}, "Declined", { buyer: [0, 1150], seller: [0, 450] }),
  ]),
  scenario("going away before the draw is free", [
    open(), accept(), later(2300, "seller", "decline", {}, "Declined", { buyer: [0, 1100], seller: [0, 500] }),
  ]),
  scenario("the buyer delivers no rest", [...previewed(), expire(3001, "Forfeited", { buyer: [0, 1000], seller: [0, 600] })]),
  scenario("the seller says nothing to the rest", [
    ...previewed(), send(3000, "RestSent"), expire(3101, "Declined", { buyer: [0, 1150], seller: [0, 450] }),
  ]),
  scenario("the seller denies the rest", [
    ...previewed(), send(3000, "RestSent"), later(3100, "seller", "deny", {}, "Denied", { buyer: [0, 1000], seller: [0, 450], nobody: [0, 150] }),
  ]),
  scenario("the seller answers the rest in the last second", [...previewed(), send(3000, "RestSent"), acknowledge(3100)]),
  scenario("no way back after the receipt", [...delivered(), refused(2501, "seller", "decline", {}, "Delivered", "WrongState"), refused(2501, "buyer", "send", {}, "Delivered", "WrongState")]),

  // The draw.
  scenario("the draw waits for its block", [
    open(), accept(), draw({ block: 12, error: "DrawTooEarly" }), draw({ block: 268 }),
  ]),
  scenario("a draw that nobody recorded ends the agreement, no one loses", [
    open(), accept(), draw({ block: 269, error: "DrawTooLate" }), at(268, refused(2100, "buyer", "expire", {}, "Accepted", "TooEarly")),
    at(269, step(2100, "stranger", "expire", {}, "Declined", { buyer: [0, 1100], seller: [0, 500] })),
  ]),
  scenario("so does the time", [open(), accept(), draw({ time: 2401, error: "TooLate" }), expire(2401, "Declined", { buyer: [0, 1100], seller: [0, 500] })]),

  // Claims.
  scenario("nothing claimed: the seller loses the bond", [
    ...delivered(), claim(all, { time: 4001, error: "TooLate", state: "Delivered" }), expire(4001, "Slashed", { buyer: [0, 1600] }),
  ]),
  scenario("more than all cannot be claimed", [
    ...delivered(), claim([[4, 4], [4, 4], [3, 2]], { state: "Delivered", error: "ClaimAboveSamples" }),
    claim([[4, 4], [4, 4], [2, 3]], { state: "Delivered", error: "ClaimAboveSamples" }), claim(seven, { actor: "buyer", state: "Delivered", error: "OnlySeller" }), claim(seven),
    claim(all, { error: "WrongState" }),
  ]),
  scenario("an inflated count has a leaf that cannot be proven", [
    ...delivered(), claim([[4, 4], [4, 4], [0, 0]], { rejected: [1] }), contest(3600, 1), answer(3700, 1, [[4, 4], [3, 3], [0, 0]], "Contested", { error: "ShardNotInClaim" }),
    answer(3700, 1, [[4, 4], [4, 4], [0, 0]], "Contested", { error: "ShardNotInClaim" }),
    answer(3700, 1, [[4, 4], [4, 4], [0, 0]], "Contested", { rejected: [1], error: "ProofRejected" }), expire(3901, "Slashed", { buyer: [0, 1640] }),
  ]),
  scenario("contests have their limits", [
    ...delivered(), refused(3000, "buyer", "contest", { value: 40, index: 0 }, "Delivered", "WrongState"), claim(),
    contest(3600, 3, "Claimed", "ShardOutOfRange"), refused(3600, "stranger", "contest", { value: 40, index: 0 }, "Claimed", "OnlyBuyer"),
    refused(3600, "buyer", "contest", { value: 39, index: 0 }, "Claimed", "WrongValue"), refused(4001, "buyer", "contest", { value: 40, index: 0 }, "Claimed", "TooLate"),
    contest(3900, 0), contest(3900, 0, "Contested", "ShardAlreadyContested"), contest(4001, 1, "Contested", "TooLate"),
    answer(3950, 1, all, "Contested", { error: "ShardNotContested" }), answer(3950, 3, all, "Contested", { error: "ShardOutOfRange" }), answer(4200, 0, all, "Claimed"),
    later(4200, "buyer", "approve", { signer: "" }, "Claimed", {}, "TooLate"), expire(4201, "Settled", won),
  ]),
  scenario("proven once is proven", [
    ...delivered(), claim(), contest(3600, 0), contest(3600, 1), answer(3700, 0, all, "Contested"), answer(3700, 0, all, "Contested", { error: "ShardAlreadyProven" }),
    contest(3700, 0, "Contested", "ShardAlreadyContested"),
  ]),
  scenario("each mode has its own road", [...delivered(), prove(0, 4, 4, "Delivered", {}, { error: "WrongMode" })]),
  scenarioEager("and so has the other", [...deliveredEagerly(), claim(all, { state: "Delivered", error: "WrongMode" })]),

  // Eager mode.
  scenarioEager("passed: count equals the threshold", [
    ...deliveredEagerly(), prove(0, 3, 4), prove(2, 2, 2), prove(1, 3, 3, "Settled", won), withdraw("seller", 1500, "Settled"),
  ]),
  scenarioEager("failed: one below the threshold, the buyer gets price and penalty", [
    ...deliveredEagerly(), prove(0, 3, 4), prove(1, 3, 4), prove(2, 1, 2, "Settled", lost), withdraw("buyer", 1300, "Settled"), withdraw("seller", 300, "Settled"),
  ]),
  scenarioEager("threshold 0 is always reached", [...deliveredEagerly(), prove(0, 0, 0), prove(1, 0, 0), prove(2, 0, 0, "Settled", won)], { terms: { threshold: 0 } }),
  scenarioEager("penalty may be the whole bond", [
    ...deliveredEagerly(), prove(0, 0, 0), prove(1, 0, 0), prove(2, 0, 0, "Settled", { buyer: [0, 1600] }),
  ], { terms: { penalty: 500 } }),
  scenarioEager("no bonds, no fees", [
    open({ buyerBond: 0 }), accept("Previewed", 0), acknowledge(), prove(0, 0, 0), prove(1, 0, 0), prove(2, 0, 0, "Settled", { buyer: [0, 1000] }),
  ], { terms: { bond: 0, buyerBond: 0, penalty: 0, previewFee: 0 } }),
  scenarioEager("one shard of one sample", [...deliveredEagerly(), prove(0, 1, 1, "Settled", won, { valid: 1 })], { terms: { shards: 1, samples: 1, threshold: 1 }, dataset: [1] }),
  scenarioEager("anyone brings the proofs, the seller is paid", [
    ...deliveredEagerly(), prove(0, 4, 4, "Delivered", {}, { actor: "stranger" }), prove(1, 4, 4, "Delivered", {}, { actor: "buyer" }),
    prove(2, 2, 2, "Settled", won, { actor: "stranger", time: 4000 }),
  ]),
  scenarioEager("one shard missing is all missing", [
    ...deliveredEagerly(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 2, 2, "Delivered", {}, { time: 4001, error: "TooLate" }), expire(4001, "Slashed", { buyer: [0, 1600] }),
  ]),
  scenarioEager("a shard counts once, in any order, and a refused proof burns nothing", [
    ...deliveredEagerly(), prove(2, 2, 2), prove(2, 2, 2, "Delivered", {}, { error: "ShardAlreadyProven" }),
    prove(0, 4, 4, "Delivered", {}, { accepted: false, error: "ProofRejected" }), prove(0, 4, 4), prove(3, 1, 1, "Delivered", {}, { error: "ShardOutOfRange" }),
    prove(1, 5, 5, "Delivered", {}, { error: "CountAboveValid" }), prove(1, 4, 5, "Delivered", {}, { error: "CountAboveValid" }), prove(1, 2, 4, "Settled", won),
  ]),
  scenarioEager("a dataset with too few samples cannot settle", [
    ...deliveredEagerly(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 1, 1, "Delivered", {}, { valid: 1, error: "SamplesMismatch" }), expire(4001, "Slashed", { buyer: [0, 1600] }),
  ], { dataset: [4, 4, 1] }),
  scenarioEager("a dataset with too many samples cannot settle", [
    ...deliveredEagerly(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 2, 2, "Delivered", {}, { valid: 3, error: "SamplesMismatch" }),
  ], { dataset: [4, 4, 3] }),
  scenarioEager("a sum of samples that would wrap around 2^32 is refused where it first exceeds", [
    ...deliveredEagerly(), prove(0, 4, 4), prove(1, 4, 4, "Delivered", {}, { valid: 4294967295, error: "SamplesMismatch" }), prove(2, 6, 6, "Delivered", {}, { valid: 6 }),
  ], { dataset: [4, 4294967295, 6] }),

  // Before anything is shown.
  scenario("the buyer cancels while open", [
    open(), step(1001, "buyer", "cancel", {}, "Cancelled", { buyer: [0, 1100] }), withdraw("buyer", 1100, "Cancelled"), refused(9001, "buyer", "withdraw", {}, "Cancelled", "NothingToWithdraw"),
  ]),
  scenario("nobody else cancels, and nobody before acceptBy is over", [
    open(), refused(2000, "seller", "cancel", {}, "Open", "OnlyBuyer"), refused(2000, "buyer", "expire", {}, "Open", "TooEarly"),
    refused(2001, "buyer", "cancel", {}, "Open", "TooLate"), expire(2001, "Cancelled", { buyer: [0, 1100] }),
  ]),
  scenario("accepted in the last second", [open(), { ...accept(), time: 2000 }]),
  scenario("accepted one second late", [open(), refused(2001, "seller", "accept", { value: 500 }, "Open", "TooLate"), expire(2001, "Cancelled", { buyer: [0, 1100] }, "buyer")]),
  scenario("the deposit is the agreed amount", [
    refused(1000, "buyer", "open", { value: 1000 }, "None", "WrongValue"), refused(1000, "buyer", "open", { value: 1101 }, "None", "WrongValue"),
    open(), refused(1500, "seller", "accept", { value: 499 }, "Open", "WrongValue"), refused(1500, "seller", "accept", { value: 501 }, "Open", "WrongValue"),
  ]),
  scenario("nothing happens to an agreement that does not exist", [
    ...[["buyer", "cancel", {}], ["seller", "accept", { value: 500 }], ["stranger", "draw", {}], ["buyer", "send", {}], ["seller", "proceed", { signer: "" }],
      ["seller", "acknowledge", { signer: "" }], ["seller", "decline", {}], ["seller", "deny", {}], ["seller", "claim", { counts: all, rejected: [] }], ["buyer", "approve", { signer: "" }],
      ["buyer", "contest", { value: 40, index: 0 }], ["seller", "answer", { index: 0, counts: all, rejected: [] }], ["stranger", "expire", {}],
    ].map(([actor, event, args]) => refused(5000, actor, event, args, "None", "UnknownAgreement")),
    prove(0, 4, 4, "None", {}, { error: "UnknownAgreement" }),
  ]),

  // Terms that cannot be opened, and the last ones that can.
  refusedTerms("unknown model", "UnknownModel", { model: { registered: false } }),
  refusedTerms("model registered in the same block", "ModelNotEarlier", {}, 10),
  refusedTerms("model retired", "ModelRetiring", { model: { retiresAt: noticePeriod + 900 } }),
  refusedTerms("penalty above the bond", "PenaltyAboveBond", { terms: { penalty: 501 } }),
  refusedTerms("preview fee above the bond", "PreviewFeeAboveBond", { terms: { previewFee: 501 } }),
  refusedTerms("no shards", "ShardsOutOfRange", { terms: { shards: 0 } }),
  refusedTerms("more shards than samples", "ShardsOutOfRange", { terms: { shards: 11 } }),
  refusedTerms("a preview of more than all", "PreviewAboveShards", { terms: { previewShards: 4 } }),
  refusedTerms("threshold above the samples", "ThresholdAboveSamples", { terms: { threshold: 11 } }),
  refusedTerms("acceptBy is now", "DeadlinesOutOfOrder", { terms: { acceptBy: 1000 } }),
  refusedTerms("previewBy is acceptBy", "DeadlinesOutOfOrder", { terms: { previewBy: 2000 } }),
  refusedTerms("an answer to the preview after deliverBy", "DeadlinesOutOfOrder", { terms: { deliverBy: 2500 } }),
  refusedTerms("an answer to the rest after claimBy", "DeadlinesOutOfOrder", { terms: { claimBy: 3100 } }),
  refusedTerms("no window", "NoTimeToContest", { terms: { window: 0 } }),
  refusedTerms("no time to prove", "NoTimeToContest", { terms: { proveTime: 0 } }),
  refusedTerms("longer than the notice period", "AgreementTooLong", { terms: { claimBy: noticePeriod + 201 } }),
  scenario("as long as the notice period", [open()], { terms: { claimBy: noticePeriod + 200 } }),
  scenario("one second of everything", [open()], { terms: { previewBy: 2001, deliverBy: 2102, claimBy: 2203, window: 1, proveTime: 1 } }),
  scenarioEager("eager needs no window", [open()], { terms: { window: 0, proveTime: 0 } }),
  scenario("a preview of everything, threshold equal to the samples", [open()], { terms: { threshold: 10, previewShards: 3 } }),
  scenario("a free agreement", [
    open({ price: 0, buyerBond: 0 }), step(1001, "buyer", "cancel", {}, "Cancelled"), refused(1002, "buyer", "withdraw", {}, "Cancelled", "NothingToWithdraw"),
  ], { terms: { price: 0, buyerBond: 0 } }),
];
