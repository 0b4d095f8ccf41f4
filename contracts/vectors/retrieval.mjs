// retrieval.json: ids and digests of retrievals, and who gets what at every end.

/** Amounts of one retrieval, `matches` claimed, `contests` not answered at the end. */
const cases = [
  { matches: 0, contests: 0 }, { matches: 1, contests: 0 }, { matches: 4, contests: 1 },
  { matches: 5, contests: 0 }, { matches: 6, contests: 2 }, { matches: 10, contests: 0 },
];
const amounts = { maxItems: 5, pricePerItem: 100, scanFee: 70, requesterBond: 30, bond: 577, contestFee: 40 };

/** [requester, responder, burnt] */
function split({ matches, contests }) {
  const { maxItems, pricePerItem, scanFee, requesterBond, bond, contestFee } = amounts;
  const [all, due] = [maxItems * pricePerItem, Math.min(matches, maxItems) * pricePerItem];
  return {
    cancelled: [all + scanFee + requesterBond, 0, 0],
    settled: [all - due + requesterBond, due + scanFee + bond, 0],
    rejected: [all - due, scanFee + bond - due - requesterBond, 2 * (due + requesterBond)],
    slashed: [all + scanFee + requesterBond + bond + contests * contestFee, 0, 0],
  };
}

export function retrieval({ keccak, keccakText, concat, encode, word, cast, SCALAR_ORDER }) {
  const chainId = 31337;
  const registry = "0x1000000000000000000000000000000000000001";
  const contract = "0x7000000000000000000000000000000000000007";
  const signerKey = word(0xb0b); // a test key, worth nothing
  const requester = cast("wallet", "address", "--private-key", signerKey);
  const payee = "0x8000000000000000000000000000000000000008";
  const terms = {
    modelId: keccakText("model"), corpusRoot: keccakText("corpus"), datasetRoot: keccakText("dataset"),
    readingKey: keccakText("key"), token: "0x6000000000000000000000000000000000000006", shards: 3, samples: 10,
    wantedClass: 7, maxItems: 5, pricePerItem: "1000000000000000000", scanFee: "70000000000000000",
    requesterBond: "30000000000000000", bond: "5030000000000000000", contestFee: "40000000000000000",
    acceptBy: 2000, claimBy: 4000, window: 500, proveTime: 300, receiptTime: 200,
  };
  const nonce = "18446744073709551615";
  const id = keccak(encode(chainId, contract, requester, nonce, ...Object.values(terms)));
  const domainType = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
  const domainSeparator = keccak(encode(keccakText(domainType), keccakText("zknode Retrieval"), keccakText("1"), chainId, contract));
  const type = "Approval(bytes32 retrieval,bytes32 claimRoot,bytes32 ciphertextHash)";
  const [claimRoot, ciphertextHash] = [keccakText("claim"), keccakText("ciphertext")];
  const digest = keccak(concat("0x1901", domainSeparator, keccak(encode(keccakText(type), id, claimRoot, ciphertextHash))));
  const approval = { type, claimRoot, ciphertextHash, digest, signature: cast("wallet", "sign", "--no-hash", "--private-key", signerKey, digest) };
  const context = word(BigInt(keccak(encode(chainId, contract, id, 2, payee))) % SCALAR_ORDER);
  return {
    chainId, registry, contract, requester, nonce, terms, id, domainSeparator, signerKey, approval,
    context: { index: 2, payee, context }, amounts, cases: cases.map((c) => ({ ...c, ...split(c) })),
  };
}
