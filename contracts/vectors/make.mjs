#!/usr/bin/env node
// Writes the JSON files beside this file; `--check` fails when those on disk differ. Needs artifacts/.
// A third implementation of every hash beside the contract and the Rust crate: all encoded types are static, so
// abi.encode is one padded word a value.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { retrieval } from "./retrieval.mjs";
import { predictions } from "./predictions.mjs";
import { retrievalScenarios } from "./retrieval-scenarios.mjs";
import { roundScenarios } from "./round-scenarios.mjs";
import { scenarios } from "./scenarios.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const cast = (...args) => execFileSync(here("../node_modules/.bin/cast"), args, { encoding: "utf8" }).trim();
const { keccak256 } = createRequire(import.meta.url)("js-sha3");
const keccak = (hex) => "0x" + keccak256(Buffer.from(hex.slice(2), "hex"));
const keccakText = (text) => "0x" + keccak256(text);
const concat = (...hex) => "0x" + hex.map((h) => h.slice(2)).join("");
const word = (n) => "0x" + BigInt(n).toString(16).padStart(64, "0");
const encode = (...values) => concat(...values.map(word));

const SCALAR_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const ZERO = word(0);

/** n distinguishable byte strings of the length of a G1 point; not on the curve, hashes do not care. */
const points = (n, seed) => concat(...Array.from({ length: n }, (_, i) => concat(word(seed * 1000 + 2 * i + 1), word(seed * 1000 + 2 * i + 2))));

const leaf = (index, valid, pointsHash) => keccak(keccak(encode(index, valid, pointsHash)));

/** Leaves in index order, padded with zero words to a power of two; node = keccak256(left || right). */
function tree(leaves) {
  let level = [...leaves];
  while (level.length & (level.length - 1)) level.push(ZERO);
  const proofs = leaves.map(() => []);
  for (let height = 0; level.length > 1; height++) {
    proofs.forEach((proof, i) => proof.push(level[(i >> height) ^ 1]));
    level = Array.from({ length: level.length / 2 }, (_, i) => keccak(concat(level[2 * i], level[2 * i + 1])));
  }
  return { leaves, root: level[0], proofs };
}

/** A partial Fisher-Yates shuffle; words above the largest multiple of the range are thrown away. */
function drawShards(seed, available, wanted) {
  const deck = Array.from({ length: available }, (_, i) => i);
  const most = (1n << 64n) - 1n;
  let counter = 0;
  for (let i = 0; i < wanted; i++) {
    const range = BigInt(available - i);
    let drawn;
    do drawn = BigInt(keccak(encode(seed, counter++))) >> 192n; while (drawn >= most - most % range);
    const other = i + Number(drawn % range);
    [deck[i], deck[other]] = [deck[other], deck[i]];
  }
  return deck.slice(0, wanted);
}

/** The claim's tree: a node is { hash, sums }, sums = valid | top1 << 64 | topk << 128. */
const sumLeaf = ({ index, valid, top1, topk, proofHash }) => ({
  hash: keccak(keccak(encode(index, valid, top1, topk, proofHash))),
  sums: BigInt(valid) | BigInt(top1) << 64n | BigInt(topk) << 128n,
});
/** What lies beyond the last leaf is zero at every height. */
const sumNode = (left, right) => left.hash === ZERO ? left : ({ hash: keccak(encode(left.hash, left.sums, right.hash, right.sums)), sums: left.sums + right.sums });
function sumTree(leaves) {
  let level = leaves.map(sumLeaf);
  while (level.length & (level.length - 1)) level.push({ hash: ZERO, sums: 0n });
  const paths = leaves.map(() => []);
  for (let height = 0; level.length > 1; height++) {
    paths.forEach((path, i) => path.push(level[(i >> height) ^ 1]));
    level = Array.from({ length: level.length / 2 }, (_, i) => sumNode(level[2 * i], level[2 * i + 1]));
  }
  return { top: level[0], root: keccak(encode(level[0].hash, level[0].sums)), paths };
}

/** A table as numbers, for tests in Solidity: names become positions, sums of amounts become coefficients. */
function machine(file, contract, stories) {
  const table = JSON.parse(readFileSync(here(`../${file}`), "utf8"));
  const amounts = Object.keys(table.amounts);
  const conditions = Object.keys(table.conditions);
  const states = table.states.map((s) => s.name);
  const [first, second] = table.parties;
  const place = (list, name) => {
    if (!list.includes(name)) throw new Error(`${file}: ${name} is none of ${list}`);
    return list.indexOf(name);
  };
  const coefficients = (text = "") => {
    const sums = amounts.map(() => 0);
    text.split(" ").filter(Boolean).reduce((sign, part) => {
      if (part === "+" || part === "-") return part === "+" ? 1 : -1;
      sums[place(amounts, part)] += sign;
      return 1;
    }, 1);
    return sums;
  };
  const rows = table.transitions.map((t) => ({
    from: place(states, t.from), event: place(table.events, t.event), by: place([first, second, "anyone"], t.by),
    after: place(["until", "after", "always"], t.when), to: place(states, t.to),
    // Two bits a condition: must hold, must not hold.
    if: t.if.reduce((mask, c) => mask | (c in table.negations ? 2 : 1) << 2 * place(conditions, table.negations[c] ?? c), 0),
    deposit: coefficients(t.money.deposit), first: coefficients(t.money[first]),
    second: coefficients(t.money[second]), nobody: coefficients(t.money.nobody),
  }));
  const column = (name) => rows.map((row) => row[name]);
  const { abi } = JSON.parse(readFileSync(here(`../artifacts/${contract}.json`), "utf8"));
  const selector = ({ name, inputs }) => keccakText(`${name}(${inputs.map(({ type }) => type)})`).slice(0, 10);
  const errors = abi.filter(({ type }) => type === "error").map((error) => [error.name, selector(error)]);
  return {
    states, events: table.events, conditions, amounts, errors: Object.fromEntries(errors),
    stories: stories.length, rows: rows.length,
    from: column("from"), event: column("event"), by: column("by"), after: column("after"), to: column("to"), if: column("if"),
    deposit: column("deposit").flat(), first: column("first").flat(), second: column("second").flat(), nobody: column("nobody").flat(),
  };
}

function hashes() {
  const chainId = 31337;
  const registry = "0x1000000000000000000000000000000000000001";
  const escrow = "0x2000000000000000000000000000000000000002";
  const verifier = "0x3000000000000000000000000000000000000003";
  const buyer = "0x4000000000000000000000000000000000000004";
  const sellerKey = word(0x5eed); // a test key, worth nothing
  const seller = cast("wallet", "address", "--private-key", sellerKey);

  const model = { seller, nonce: 7, architecture: keccakText("architecture"), verifier, modelPoints: points(3, 1), shardPoints: 2 };
  model.modelPointsHash = keccak(model.modelPoints);
  model.modelId = keccak(encode(chainId, registry, seller, model.nonce, model.architecture, verifier, model.modelPointsHash, model.shardPoints));

  const trees = [1, 2, 3, 4, 5, 8].map((n) => {
    const shards = Array.from({ length: n }, (_, index) => {
      const shardPoints = points(2, 10 * n + index);
      return { index, valid: 100 + index, shardPoints, leaf: leaf(index, 100 + index, keccak(shardPoints)) };
    });
    const { root, proofs } = tree(shards.map((s) => s.leaf));
    return { shards: shards.map((s, i) => ({ ...s, merkleProof: proofs[i] })), root };
  });

  const terms = {
    modelId: model.modelId, datasetRoot: trees[2].root, token: "0x6000000000000000000000000000000000000006",
    shards: 3, samples: 303, threshold: 290, price: "1000000000000000000", buyerBond: "100000000000000000", bond: "500000000000000000",
    penalty: "250000000000000000", previewFee: "50000000000000000", contestFee: "40000000000000000",
    acceptBy: 1900000000, previewBy: 1900043200, deliverBy: 1900086400, claimBy: 1900172800, metric: 1, mode: 0,
    previewShards: 2, responseTime: 3600, window: 7200, proveTime: 1800,
  };
  const agreement = { buyer, nonce: 3, terms };
  agreement.id = keccak(encode(chainId, escrow, buyer, agreement.nonce, ...Object.values(terms)));

  const contexts = [0, 1, 2, 4294967295].map((shardIndex) => {
    const digest = keccak(encode(chainId, escrow, agreement.id, shardIndex, seller));
    return { shardIndex, payee: seller, context: word(BigInt(digest) % SCALAR_ORDER) };
  });

  const domainType = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
  const domainSeparator = keccak(encode(keccakText(domainType), keccakText("zknode Escrow"), keccakText("1"), chainId, escrow));
  const signature = (type, content) => {
    const digest = keccak(concat("0x1901", domainSeparator, keccak(encode(keccakText(type), agreement.id, content))));
    return { type, content, digest, signature: cast("wallet", "sign", "--no-hash", "--private-key", sellerKey, digest) };
  };
  const signed = {
    name: "zknode Escrow", version: "1", domainSeparator, signerKey: sellerKey,
    preview: signature("Preview(bytes32 agreement,bytes32 ciphertextHash)", keccakText("ciphertext")),
    receipt: signature("Receipt(bytes32 agreement,bytes32 ciphertextHash)", keccakText("ciphertext")),
    approval: signature("Approval(bytes32 agreement,bytes32 claimRoot)", keccakText("claim")),
  };

  const seedBlock = keccakText("block");
  const draws = [[3, 2], [1, 1], [66, 5], [7, 7], [1000, 0]].map(([available, wanted]) => {
    const seed = keccak(encode(seedBlock, agreement.id));
    const own = keccak(encode(seed, available));
    return { seed: own, available, wanted, shards: drawShards(own, available, wanted) };
  });
  const draw = { blockHash: seedBlock, seed: keccak(encode(seedBlock, agreement.id)) };

  const claims = [1, 2, 3, 5, 8].map((n) => {
    const leaves = Array.from({ length: n }, (_, index) => ({
      index, valid: 100 + index, top1: 90 + index, topk: 95 + index, proofHash: keccakText(`proof ${index}`),
    }));
    const { top, root, paths } = sumTree(leaves);
    return { leaves: leaves.map((l, i) => ({ ...l, hash: sumLeaf(l).hash, path: paths[i].map((x) => x.hash), sums: paths[i].map((x) => word(x.sums)) })), node: top.hash, root };
  });

  return { chainId, registry, escrow, model, trees, agreement, contexts, signed, draw, draws, claims };
}

/** JSON with one line a list element, so that a changed step is a changed line. */
const lines = (value, depth) => depth === 0 || typeof value !== "object" ? JSON.stringify(value)
  : Array.isArray(value) ? `[\n${value.map((v) => lines(v, depth - 1)).join(",\n")}\n]`
    : `{\n${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${lines(v, depth - 1)}`).join(",\n")}\n}`;

/** One line a story: forge looks every number of it up by parsing all it is given. */
const told = (stories) => stories.map((story) => JSON.stringify(story)).join("\n");

const files = {
  "stories.jsonl": told(scenarios),
  "round-stories.jsonl": told(roundScenarios),
  "retrieval-stories.jsonl": told(retrievalScenarios),
  "machine.json": lines(machine("agreement.json", "Escrow", scenarios), 1),
  "round-machine.json": lines(machine("round.json", "Predictions", roundScenarios), 1),
  "retrieval-machine.json": lines(machine("retrieval.json", "Retrieval", retrievalScenarios), 1),
  "hashes.json": lines(hashes(), 4),
  "retrieval.json": lines(retrieval({ keccak, keccakText, concat, encode, word, cast, SCALAR_ORDER }), 2),
  "predictions.json": lines(predictions({ keccak, keccakText, encode, concat, word, cast, SCALAR_ORDER }), 2),
};
for (const [name, json] of Object.entries(files)) {
  const text = json + "\n";
  if (!process.argv.includes("--check")) writeFileSync(here(name), text);
  else if (readFileSync(here(name), "utf8") !== text) {
    console.error(`vectors/${name} is stale: run vectors/make.mjs`);
    process.exitCode = 1;
  }
}
