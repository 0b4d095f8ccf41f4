// Rounds of predictions as stories; the amounts are written by hand, not computed by a model.
import { noticePeriod } from "./scenarios.mjs";
import { teller } from "./story.mjs";

const { step, refused } = teller(["buyer", "seller"]);
const terms = { batches: 10, price: 100, bond: 5000, contestFee: 40, acceptBy: 2000, serveBy: 3000, window: 500, proveTime: 300 };
const model = { registered: true, registeredBlock: 10, retiresAt: 0 };

const open = (value = 1000) => step(1000, "buyer", "open", { value }, "Open", { buyer: [-value, 0] });
const accept = (over = {}) => step(over.time ?? 1500, "seller", "accept", { value: over.bond ?? 5000 }, "Serving", { seller: [-(over.bond ?? 5000), 0] });
/** Closed with the buyer's voucher, until 2500. */
const close = (count = 7, over = {}) =>
  step(over.time ?? 2000, over.actor ?? "seller", "close", { count, signer: over.signer ?? "buyer" }, over.state ?? "Closed", {}, over.error ?? "");
const approve = (time, actor, count, signer, state, moves, error = "") => step(time, actor, "approve", { count, signer }, state, moves, error);
/** `points`: which of several predictions of the same batch. */
const contest = (time, index, over = {}) => step(time, over.actor ?? "buyer", "contest",
  { index, valid: 3, points: over.points ?? 0, signer: over.signer ?? "seller", value: over.value ?? 40 },
  over.state ?? "Contested", over.error ? {} : { buyer: [-40, 0] }, over.error ?? "");
const answer = (time, index, state, over = {}) => step(time, over.actor ?? "stranger", "answer",
  { index, valid: over.valid ?? 3, points: over.points ?? 0, accepted: over.accepted ?? true }, state,
  over.error ? {} : { seller: [0, 40] }, over.error ?? "");
const expire = (time, state, moves, actor = "stranger") => step(time, actor, "expire", {}, state, moves);
const withdraw = (actor, amount, state) => step(9000, actor, "withdraw", {}, state, { [actor]: [amount, -amount] });

const serving = () => [open(), accept()];
const closed = (count = 7) => [...serving(), close(count)];
const seven = { buyer: [0, 300], seller: [0, 5700] };

const scenario = (name, steps, over = {}) => ({ name, model: { ...model, ...over.model }, terms: { ...terms, ...over.terms }, steps });
const refusedTerms = (name, error, over = {}, block = 11) =>
  scenario(name, [{ ...refused(1000, "buyer", "open", { value: 1000 }, "None", error), block }], over);

export const roundScenarios = [
  // The straight roads.
  scenario("approved while served: the seller brings the buyer's approval, three transactions in all", [
    ...serving(), approve(2000, "seller", 4, "buyer", "Settled", { buyer: [0, 600], seller: [0, 5400] }),
    withdraw("seller", 5400, "Settled"), withdraw("buyer", 600, "Settled"), refused(9001, "buyer", "withdraw", {}, "Settled", "NothingToWithdraw"),
  ]),
  scenario("closed with a voucher, and the window passes", [
    ...closed(), refused(2500, "seller", "expire", {}, "Closed", "TooEarly"), expire(2501, "Settled", seven),
  ]),
  scenario("closed, then approved: anyone brings the signature, the buyer needs none", [
    ...closed(), approve(2400, "stranger", 7, "", "Closed", {}, "NotSigned"), approve(2400, "stranger", 7, "seller", "Closed", {}, "NotSigned"),
    approve(2400, "stranger", 6, "buyer", "Closed", {}, "CountMismatch"), approve(2500, "stranger", 7, "buyer", "Settled", seven),
  ]),
  scenario("closed, then approved by the buyer itself, in the last second", [
    ...closed(), approve(2501, "buyer", 7, "", "Closed", {}, "TooLate"), approve(2500, "buyer", 8, "", "Closed", {}, "CountMismatch"),
    approve(2500, "buyer", 7, "", "Settled", seven),
  ]),
  scenario("all of it served and paid", [...closed(10), expire(2501, "Settled", { seller: [0, 6000] })]),
  scenario("closed without a voucher: nothing is paid", [...serving(), close(0, { signer: "" }), expire(2501, "Settled", { buyer: [0, 1000], seller: [0, 5000] })]),

  // Vouchers.
  scenario("what does not close a round", [
    open(), close(7, { state: "Open", error: "WrongState" }), accept(), close(7, { signer: "", state: "Serving", error: "NotSigned" }),
    close(7, { signer: "seller", state: "Serving", error: "NotSigned" }), close(11, { state: "Serving", error: "CountAboveBatches" }),
    close(7, { actor: "buyer", state: "Serving", error: "OnlySeller" }), close(7, { actor: "stranger", state: "Serving", error: "OnlySeller" }),
    close(7, { time: 3001, state: "Serving", error: "TooLate" }), close(7, { time: 3000 }), close(8, { time: 3000, error: "WrongState" }),
    expire(3501, "Settled", seven),
  ]),
  scenario("only the seller ends the service early", [
    ...serving(), approve(2000, "buyer", 0, "", "Serving", {}, "OnlySeller"), approve(2000, "stranger", 5, "buyer", "Serving", {}, "OnlySeller"),
    approve(2000, "seller", 5, "", "Serving", {}, "NotSigned"), approve(2000, "seller", 11, "buyer", "Serving", {}, "CountAboveBatches"),
    approve(3001, "seller", 5, "buyer", "Serving", {}, "TooLate"), approve(3000, "seller", 5, "buyer", "Settled", { buyer: [0, 500], seller: [0, 5500] }),
  ]),
  scenario("nobody closes: paid for nothing, and the window is not prolonged by who comes late", [
    ...serving(), refused(3000, "buyer", "expire", {}, "Serving", "TooEarly"), step(3400, "stranger", "expire", {}, "Closed", {}),
    contest(3500, 2), answer(3600, 2, "Closed"), contest(3601, 3, { state: "Closed", error: "TooLate" }),
    expire(3601, "Settled", { buyer: [0, 1000], seller: [0, 5000] }),
  ]),

  // Contests.
  scenario("a contested prediction is proven, paid for, and the window goes on", [
    ...closed(), contest(2100, 3), answer(2400, 3, "Closed"), contest(2450, 9), answer(2750, 9, "Closed", { actor: "seller" }),
    expire(2751, "Settled", seven),
  ]),
  scenario("two contests side by side prolong each other", [
    ...closed(), contest(2100, 3), contest(2300, 4), answer(2600, 4, "Contested"), answer(2600, 3, "Closed"), expire(2601, "Settled", seven),
  ]),
  scenario("one that is not proven costs everything, and gives the fee back", [
    ...closed(), contest(2100, 3), contest(2200, 4), answer(2300, 4, "Contested"), refused(2500, "buyer", "expire", {}, "Contested", "TooEarly"),
    answer(2501, 3, "Contested", { error: "TooLate" }), expire(2501, "Slashed", { buyer: [0, 6040] }), withdraw("seller", 40, "Slashed"),
  ]),
  scenario("two predictions signed for one batch are two debts", [
    ...closed(), contest(2100, 3), answer(2150, 3, "Contested", { points: 1, error: "NotContested" }), answer(2200, 3, "Closed"),
    contest(2250, 3, { points: 1 }), expire(2551, "Slashed", { buyer: [0, 6040] }),
  ]),
  scenario("each prediction is contested and proven once", [
    ...closed(), contest(2100, 3), contest(2100, 3, { error: "AlreadyContested" }), contest(2100, 4), answer(2200, 3, "Contested"),
    answer(2200, 3, "Contested", { error: "AlreadyProven" }), contest(2200, 3, { error: "AlreadyContested" }), answer(2200, 4, "Closed"),
  ]),
  scenario("who contests what, and when", [
    ...serving(), contest(1900, 3, { state: "Serving", error: "WrongState" }), close(), contest(2100, 3, { actor: "stranger", state: "Closed", error: "OnlyBuyer" }),
    contest(2100, 3, { actor: "seller", state: "Closed", error: "OnlyBuyer" }), contest(2100, 3, { signer: "", state: "Closed", error: "NotSigned" }),
    contest(2100, 3, { signer: "buyer", state: "Closed", error: "NotSigned" }), contest(2100, 10, { state: "Closed", error: "IndexOutOfRange" }),
    contest(2100, 3, { value: 39, state: "Closed", error: "WrongValue" }), contest(2501, 3, { state: "Closed", error: "TooLate" }),
    contest(2500, 9), contest(2501, 3, { error: "TooLate" }), answer(2800, 9, "Closed"), contest(2800, 3, { state: "Closed", error: "TooLate" }),
    expire(2801, "Settled", seven),
  ]),
  scenario("proofs of something else answer nothing", [
    ...closed(), answer(2050, 3, "Closed", { error: "WrongState" }), contest(2100, 3), answer(2200, 4, "Contested", { error: "NotContested" }),
    answer(2200, 3, "Contested", { valid: 2, error: "NotContested" }), answer(2200, 3, "Contested", { accepted: false, error: "ProofRejected" }), answer(2200, 3, "Closed"),
  ]),
  scenario("no approval of what is contested", [
    ...closed(), contest(2100, 3), approve(2150, "buyer", 7, "", "Contested", {}, "WrongState"), answer(2200, 3, "Closed"), approve(2201, "buyer", 7, "", "Settled", seven),
  ]),

  // Before anything is served.
  scenario("the buyer cancels while open", [
    open(), refused(1001, "seller", "cancel", {}, "Open", "OnlyBuyer"), step(2000, "buyer", "cancel", {}, "Cancelled", { buyer: [0, 1000] }),
    refused(2000, "seller", "accept", { value: 5000 }, "Cancelled", "WrongState"), withdraw("buyer", 1000, "Cancelled"),
  ]),
  scenario("nobody accepts", [
    open(), refused(2000, "buyer", "expire", {}, "Open", "TooEarly"), refused(2001, "seller", "accept", { value: 5000 }, "Open", "TooLate"),
    refused(2001, "buyer", "cancel", {}, "Open", "TooLate"), expire(2001, "Cancelled", { buyer: [0, 1000] }, "buyer"),
  ]),
  scenario("accepted in the last second, by the seller alone", [open(), refused(2000, "buyer", "accept", { value: 5000 }, "Open", "OnlySeller"), accept({ time: 2000 })]),
  scenario("deposits are the agreed amounts, and a nonce is used once", [
    refused(1000, "buyer", "open", { value: 999 }, "None", "WrongValue"), refused(1000, "buyer", "open", { value: 1001 }, "None", "WrongValue"), open(),
    refused(1001, "buyer", "open", { value: 1000 }, "Open", "RoundExists"), refused(1500, "seller", "accept", { value: 4999 }, "Open", "WrongValue"),
    step(1600, "buyer", "cancel", {}, "Cancelled", { buyer: [0, 1000] }), refused(1601, "buyer", "open", { value: 1000 }, "Cancelled", "RoundExists"),
  ]),
  scenario("nothing happens to a round that does not exist", [
    ...[["buyer", "cancel", {}], ["seller", "accept", { value: 5000 }], ["stranger", "expire", {}]]
      .map(([actor, event, args]) => refused(5000, actor, event, args, "None", "UnknownRound")),
    close(7, { state: "None", error: "UnknownRound" }), approve(2000, "buyer", 7, "", "None", {}, "UnknownRound"),
    contest(2000, 3, { state: "None", error: "UnknownRound" }), answer(2000, 3, "None", { error: "UnknownRound" }),
  ]),

  // Terms that cannot be opened, and the last ones that can.
  refusedTerms("unknown model", "UnknownModel", { model: { registered: false } }),
  refusedTerms("model registered in the same block", "ModelNotEarlier", {}, 10),
  refusedTerms("model retired", "ModelRetiring", { model: { retiresAt: noticePeriod + 900 } }),
  refusedTerms("no batches", "NoBatches", { terms: { batches: 0 } }),
  refusedTerms("acceptBy is now", "DeadlinesOutOfOrder", { terms: { acceptBy: 1000 } }),
  refusedTerms("serveBy is acceptBy", "DeadlinesOutOfOrder", { terms: { serveBy: 2000 } }),
  refusedTerms("no window", "NoTimeToContest", { terms: { window: 0 } }),
  refusedTerms("no time to prove", "NoTimeToContest", { terms: { proveTime: 0 } }),
  refusedTerms("longer than the notice period", "RoundTooLong", { terms: { serveBy: noticePeriod + 201 } }),
  scenario("as long as the notice period", [open()], { terms: { serveBy: noticePeriod + 200 } }),
  scenario("one second of everything", [open()], { terms: { acceptBy: 1001, serveBy: 1002, window: 1, proveTime: 1 } }),
  scenario("a free round", [
    open(0), accept({ bond: 0 }), approve(2000, "seller", 7, "buyer", "Settled", {}), refused(9000, "buyer", "withdraw", {}, "Settled", "NothingToWithdraw"),
  ], { terms: { price: 0, bond: 0 } }),
];
