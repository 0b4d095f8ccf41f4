// The agreement's rules as stories: who does what when, what state follows, whose money moves.
// `make.mjs` writes them out as agreement.json; the amounts are written by hand, not computed by a model.

export const noticePeriod = 2_592_000;

const terms = {
  shards: 3, samples: 10, threshold: 8, metric: "top1",
  price: 1000, bond: 500, penalty: 200,
  acceptBy: 2000, deliverBy: 3000, proveBy: 4000,
};
const dataset = [4, 4, 2]; // valid samples per shard
const model = { registered: true, registeredBlock: 10, retiresAt: 0 };

/** [wallet, credit] per party; parties left out do not move. */
const money = (moves = {}) => Object.fromEntries(["buyer", "seller", "stranger"].map((who) => {
  const [wallet, credit] = moves[who] ?? [0, 0];
  return [who, { wallet, credit }];
}));

const step = (time, actor, event, args, state, moves, error = "") =>
  ({ time, block: 11, actor, event, args, expect: { state, error }, deltas: money(moves) });

const open = (over = {}) => step(1000, "buyer", "open", { value: over.price ?? 1000 }, "Open", { buyer: [-(over.price ?? 1000), 0] });
const accept = (bond = 500) => step(1500, "seller", "accept", { value: bond }, "Accepted", { seller: [-bond, 0] });
const acknowledge = () => step(2500, "seller", "acknowledge", {}, "Delivered");
const signed = (time, actor, signer, state, error) => step(time, actor, "acknowledgeBySignature", { signer }, state, {}, error);
const prove = (index, top1, topk, state = "Delivered", moves = {}, over = {}) =>
  step(over.time ?? 3500, over.actor ?? "seller", "proveShard",
    { index, valid: over.valid ?? dataset[index] ?? 1, top1, topk, accepted: over.accepted ?? true }, state, moves, over.error ?? "");
const refused = (time, actor, event, args, state, error) => step(time, actor, event, args, state, {}, error);
const withdraw = (actor, amount, state, time = 5000) => step(time, actor, "withdraw", {}, state, { [actor]: [amount, -amount] });

const delivered = () => [open(), accept(), acknowledge()];
/** Every event, by the party who could have caused it, bounces off a terminal state. */
const absorbed = (state) => [
  ["buyer", "cancel", {}],
  ["seller", "accept", { value: 500 }],
  ["seller", "decline", {}],
  ["seller", "acknowledge", {}],
  ["seller", "proveShard", { index: 0, valid: 4, top1: 4, topk: 4, accepted: true }],
  ["stranger", "slash", {}],
].map(([actor, event, args]) => refused(4001, actor, event, args, state, "WrongState"));

const scenario = (name, steps, over = {}) => ({
  name,
  model: { ...model, ...over.model },
  terms: { ...terms, ...over.terms },
  dataset: over.dataset ?? dataset,
  steps,
});

const refusedTerms = (name, error, over = {}, atBlock = 11) => scenario(name,
  [{ ...refused(1000, "buyer", "open", { value: over.terms?.price ?? 1000 }, "None", error), block: atBlock }], over);

export const scenarios = [
  // The straight road.
  scenario("passed: count equals the threshold", [
    ...delivered(), prove(0, 3, 4), prove(2, 2, 2), prove(1, 3, 3, "Settled", { seller: [0, 1500] }),
    withdraw("seller", 1500, "Settled"),
  ]),
  scenario("failed: one below the threshold, the buyer gets price and penalty", [
    ...delivered(), prove(0, 3, 4), prove(1, 3, 4), prove(2, 1, 2, "Settled", { buyer: [0, 1200], seller: [0, 300] }),
    withdraw("buyer", 1200, "Settled"), withdraw("seller", 300, "Settled"),
  ]),
  scenario("metric top-k counts what top-1 would not", [
    ...delivered(), prove(0, 1, 4), prove(1, 0, 4), prove(2, 0, 0, "Settled", { seller: [0, 1500] }),
  ], { terms: { metric: "topk" } }),
  scenario("threshold 0 is always reached", [
    ...delivered(), prove(0, 0, 0), prove(1, 0, 0), prove(2, 0, 0, "Settled", { seller: [0, 1500] }),
  ], { terms: { threshold: 0 } }),
  scenario("penalty may be the whole bond", [
    ...delivered(), prove(0, 0, 0), prove(1, 0, 0), prove(2, 0, 0, "Settled", { buyer: [0, 1500] }),
  ], { terms: { penalty: 500 } }),
  scenario("no bond, no penalty", [
    open(), accept(0), acknowledge(), prove(0, 0, 0), prove(1, 0, 0), prove(2, 0, 0, "Settled", { buyer: [0, 1000] }),
  ], { terms: { bond: 0, penalty: 0 } }),
  scenario("one shard of one sample", [
    ...delivered(), prove(0, 1, 1, "Settled", { seller: [0, 1500] }, { valid: 1 }),
  ], { terms: { shards: 1, samples: 1, threshold: 1 }, dataset: [1] }),
  scenario("anyone brings the receipt and the proofs, the seller is paid", [
    open(), accept(), signed(3000, "stranger", "seller", "Delivered"),
    prove(0, 4, 4, "Delivered", {}, { actor: "stranger" }), prove(1, 4, 4, "Delivered", {}, { actor: "buyer" }),
    prove(2, 2, 2, "Settled", { seller: [0, 1500] }, { actor: "stranger", time: 4000 }),
  ]),

  // Every deadline: its last second, and one more.
  scenario("the buyer cancels while open", [
    open(), step(1001, "buyer", "cancel", {}, "Cancelled", { buyer: [0, 1000] }), ...absorbed("Cancelled"),
    withdraw("buyer", 1000, "Cancelled"), refused(5001, "buyer", "withdraw", {}, "Cancelled", "NothingToWithdraw"),
  ]),
  scenario("nobody else cancels before acceptBy is over", [
    open(), refused(2000, "stranger", "cancel", {}, "Open", "OnlyBuyerUntil"), refused(2000, "seller", "cancel", {}, "Open", "OnlyBuyerUntil"),
    step(2001, "stranger", "cancel", {}, "Cancelled", { buyer: [0, 1000] }),
  ]),
  scenario("accepted in the last second", [open(), { ...accept(), time: 2000 }]),
  scenario("accepted one second late", [
    open(), refused(2001, "seller", "accept", { value: 500 }, "Open", "TooLate"),
    step(2001, "buyer", "cancel", {}, "Cancelled", { buyer: [0, 1000] }),
  ]),
  scenario("the buyer cannot cancel once accepted", [open(), accept(), refused(1501, "buyer", "cancel", {}, "Accepted", "WrongState")]),
  scenario("the seller declines before delivery", [
    open(), accept(), step(1501, "seller", "decline", {}, "Declined", { buyer: [0, 1000], seller: [0, 500] }), ...absorbed("Declined"),
    withdraw("buyer", 1000, "Declined"), withdraw("seller", 500, "Declined"),
  ]),
  scenario("nobody else declines before deliverBy is over", [
    open(), accept(), refused(3000, "buyer", "decline", {}, "Accepted", "OnlySellerUntil"),
    refused(3000, "stranger", "decline", {}, "Accepted", "OnlySellerUntil"),
    step(3001, "stranger", "decline", {}, "Declined", { buyer: [0, 1000], seller: [0, 500] }),
  ]),
  scenario("acknowledged in the last second", [open(), accept(), { ...acknowledge(), time: 3000 }]),
  scenario("a receipt one second late", [
    open(), accept(), refused(3001, "seller", "acknowledge", {}, "Accepted", "TooLate"), signed(3001, "buyer", "seller", "Accepted", "TooLate"),
    step(3001, "buyer", "decline", {}, "Declined", { buyer: [0, 1000], seller: [0, 500] }),
  ]),
  scenario("the seller cannot decline after its receipt", [...delivered(), refused(2501, "seller", "decline", {}, "Delivered", "WrongState")]),
  scenario("nothing proven: the seller loses the bond", [
    ...delivered(), refused(4000, "buyer", "slash", {}, "Delivered", "TooEarly"),
    step(4001, "stranger", "slash", {}, "Slashed", { buyer: [0, 1500] }), ...absorbed("Slashed"), withdraw("buyer", 1500, "Slashed"),
  ]),
  scenario("one shard missing is all missing", [
    ...delivered(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 2, 2, "Delivered", {}, { time: 4001, error: "TooLate" }),
    step(4001, "buyer", "slash", {}, "Slashed", { buyer: [0, 1500] }),
  ]),
  scenario("settled is over", [
    ...delivered(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 2, 2, "Settled", { seller: [0, 1500] }), ...absorbed("Settled"),
  ]),

  // Who and in which state.
  scenario("nothing happens to an agreement that does not exist", [
    refused(1000, "buyer", "cancel", {}, "None", "UnknownAgreement"),
    refused(1000, "seller", "accept", { value: 500 }, "None", "UnknownAgreement"),
    refused(1000, "seller", "decline", {}, "None", "UnknownAgreement"),
    refused(1000, "seller", "acknowledge", {}, "None", "UnknownAgreement"),
    prove(0, 4, 4, "None", {}, { error: "UnknownAgreement" }),
    refused(5000, "stranger", "slash", {}, "None", "UnknownAgreement"),
  ]),
  scenario("only the seller accepts and acknowledges", [
    open(), refused(1500, "buyer", "accept", { value: 500 }, "Open", "OnlySeller"), refused(1500, "stranger", "accept", { value: 500 }, "Open", "OnlySeller"),
    accept(), refused(2500, "buyer", "acknowledge", {}, "Accepted", "OnlySeller"), signed(2500, "buyer", "buyer", "Accepted", "ReceiptNotSigned"),
  ]),
  scenario("steps in the wrong order", [
    open(), refused(1500, "seller", "acknowledge", {}, "Open", "WrongState"), refused(1500, "seller", "decline", {}, "Open", "WrongState"),
    prove(0, 4, 4, "Open", {}, { error: "WrongState" }), refused(4001, "stranger", "slash", {}, "Open", "WrongState"),
    accept(), refused(1500, "seller", "accept", { value: 500 }, "Accepted", "WrongState"),
    prove(0, 4, 4, "Accepted", {}, { time: 2000, error: "WrongState" }), refused(4001, "stranger", "slash", {}, "Accepted", "WrongState"),
    acknowledge(), refused(2600, "seller", "acknowledge", {}, "Delivered", "WrongState"),
  ]),
  scenario("the deposit is the agreed amount", [
    refused(1000, "buyer", "open", { value: 999 }, "None", "WrongValue"), refused(1000, "buyer", "open", { value: 1001 }, "None", "WrongValue"),
    open(), refused(1500, "seller", "accept", { value: 499 }, "Open", "WrongValue"), refused(1500, "seller", "accept", { value: 501 }, "Open", "WrongValue"),
  ]),

  // What counts.
  scenario("a shard counts once, in any order, and a refused proof burns nothing", [
    ...delivered(), prove(2, 2, 2), prove(2, 2, 2, "Delivered", {}, { error: "ShardAlreadyProven" }),
    prove(0, 4, 4, "Delivered", {}, { accepted: false, error: "ProofRejected" }), prove(0, 4, 4),
    prove(3, 1, 1, "Delivered", {}, { error: "ShardOutOfRange" }),
    prove(1, 5, 5, "Delivered", {}, { error: "CountAboveValid" }), prove(1, 4, 5, "Delivered", {}, { error: "CountAboveValid" }),
    prove(1, 2, 4, "Settled", { seller: [0, 1500] }),
  ]),
  scenario("a dataset with too few samples cannot settle", [
    ...delivered(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 1, 1, "Delivered", {}, { valid: 1, error: "SamplesMismatch" }),
    step(4001, "buyer", "slash", {}, "Slashed", { buyer: [0, 1500] }),
  ], { dataset: [4, 4, 1] }),
  scenario("a dataset with too many samples cannot settle", [
    ...delivered(), prove(0, 4, 4), prove(1, 4, 4), prove(2, 2, 2, "Delivered", {}, { valid: 3, error: "SamplesMismatch" }),
  ], { dataset: [4, 4, 3] }),

  scenario("a sum of samples that would wrap around 2^32 is refused where it first exceeds", [
    ...delivered(), prove(0, 4, 4), prove(1, 4, 4, "Delivered", {}, { valid: 4294967295, error: "SamplesMismatch" }),
    prove(2, 6, 6, "Delivered", {}, { valid: 6 }), refused(4000, "buyer", "slash", {}, "Delivered", "TooEarly"),
  ], { dataset: [4, 4294967295, 6] }),

  // Terms that cannot be opened, and the last ones that can.
  refusedTerms("unknown model", "UnknownModel", { model: { registered: false } }),
  refusedTerms("model registered in the same block", "ModelNotEarlier", {}, 10),
  refusedTerms("model retired", "ModelRetiring", { model: { retiresAt: noticePeriod + 900 } }),
  refusedTerms("penalty above the bond", "PenaltyAboveBond", { terms: { penalty: 501 } }),
  refusedTerms("no shards", "ShardsOutOfRange", { terms: { shards: 0 } }),
  refusedTerms("more shards than samples", "ShardsOutOfRange", { terms: { shards: 11 } }),
  refusedTerms("threshold above the samples", "ThresholdAboveSamples", { terms: { threshold: 11 } }),
  refusedTerms("acceptBy is now", "DeadlinesOutOfOrder", { terms: { acceptBy: 1000 } }),
  refusedTerms("deliverBy is acceptBy", "DeadlinesOutOfOrder", { terms: { deliverBy: 2000 } }),
  refusedTerms("proveBy is deliverBy", "DeadlinesOutOfOrder", { terms: { proveBy: 3000 } }),
  refusedTerms("longer than the notice period", "AgreementTooLong", { terms: { proveBy: noticePeriod + 1001 } }),
  scenario("as long as the notice period", [open()], { terms: { proveBy: noticePeriod + 1000 } }),
  scenario("threshold equal to the samples", [open()], { terms: { threshold: 10 } }),
  scenario("a free agreement", [
    open({ price: 0 }), step(1001, "buyer", "cancel", {}, "Cancelled"), refused(1002, "buyer", "withdraw", {}, "Cancelled", "NothingToWithdraw"),
  ], { terms: { price: 0 } }),
];
