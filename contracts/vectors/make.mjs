#!/usr/bin/env node
// Writes agreement.json and hashes.json beside this file; `--check` fails when the files on disk differ.
// A third implementation of every hash beside the contract and the Rust crate: all encoded types are static, so
// abi.encode is one padded word a value.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { noticePeriod, scenarios } from "./scenarios.mjs";

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

function hashes() {
  const chainId = 31337;
  const registry = "0x1000000000000000000000000000000000000001";
  const escrow = "0x2000000000000000000000000000000000000002";
  const verifier = "0x3000000000000000000000000000000000000003";
  const buyer = "0x4000000000000000000000000000000000000004";
  const sellerKey = word(0x5eed); // a test key, worth nothing
  const seller = cast("wallet", "address", "--private-key", sellerKey);

  const model = { seller, nonce: 7, architecture: keccakText("architecture"), verifier, modelPoints: points(3, 1) };
  model.modelPointsHash = keccak(model.modelPoints);
  model.modelId = keccak(encode(chainId, registry, seller, model.nonce, model.architecture, verifier, model.modelPointsHash));

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
    shards: 3, samples: 303, threshold: 290, price: "1000000000000000000", bond: "500000000000000000", penalty: "250000000000000000",
    acceptBy: 1900000000, deliverBy: 1900086400, proveBy: 1900172800, metric: 1,
  };
  const agreement = { buyer, nonce: 3, terms };
  agreement.id = keccak(encode(chainId, escrow, buyer, agreement.nonce, ...Object.values(terms)));

  const contexts = [0, 1, 2, 4294967295].map((shardIndex) => {
    const digest = keccak(encode(chainId, escrow, agreement.id, shardIndex, seller));
    return { shardIndex, payee: seller, context: word(BigInt(digest) % SCALAR_ORDER) };
  });

  const domainType = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
  const domainSeparator = keccak(encode(keccakText(domainType), keccakText("zknode Escrow"), keccakText("1"), chainId, escrow));
  const receiptType = "Receipt(bytes32 agreement,bytes32 ciphertextHash)";
  const receipt = { name: "zknode Escrow", version: "1", type: receiptType, domainSeparator, ciphertextHash: keccakText("ciphertext") };
  receipt.digest = keccak(concat("0x1901", domainSeparator, keccak(encode(keccakText(receiptType), agreement.id, receipt.ciphertextHash))));
  receipt.signerKey = sellerKey;
  receipt.signature = cast("wallet", "sign", "--no-hash", "--private-key", sellerKey, receipt.digest);

  return { chainId, registry, escrow, model, trees, agreement, contexts, receipt };
}

/** JSON with one line a list element, so that a changed step is a changed line. */
const lines = (value, depth) => depth === 0 || typeof value !== "object" ? JSON.stringify(value)
  : Array.isArray(value) ? `[\n${value.map((v) => lines(v, depth - 1)).join(",\n")}\n]`
    : `{\n${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}: ${lines(v, depth - 1)}`).join(",\n")}\n}`;

const files = {
  "agreement.json": lines({ noticePeriod, scenarios }, 4),
  "hashes.json": lines(hashes(), 4),
};
for (const [name, json] of Object.entries(files)) {
  const text = json + "\n";
  if (!process.argv.includes("--check")) writeFileSync(here(name), text);
  else if (readFileSync(here(name), "utf8") !== text) {
    console.error(`vectors/${name} is stale: run vectors/make.mjs`);
    process.exitCode = 1;
  }
}
