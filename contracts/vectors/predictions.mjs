// predictions.json: every hash of a round of predictions, computed a third time beside the contract and the Rust crate.

/** `hash` is make.mjs's own toolbox: keccak, keccakText, encode, concat, word, cast, SCALAR_ORDER. */
export function predictions({ keccak, keccakText, encode, concat, word, cast, SCALAR_ORDER }) {
  const chainId = 31337;
  const contract = "0x7000000000000000000000000000000000000007";
  const buyerKey = word(0xb0b); // test keys, worth nothing
  const sellerKey = word(0x5eed);
  const [buyer, seller] = [buyerKey, sellerKey].map((key) => cast("wallet", "address", "--private-key", key));

  const terms = {
    modelId: keccakText("model"), token: "0x6000000000000000000000000000000000000006", batches: 12, price: "1000000000000000000",
    bond: "500000000000000000", contestFee: "40000000000000000", acceptBy: 1900000000, serveBy: 1900086400, window: 7200, proveTime: 1800,
  };
  const nonce = keccakText("nonce");
  const id = keccak(encode(chainId, contract, buyer, nonce, ...Object.values(terms)));

  const contexts = [0, 1, 4294967295].map((index) => {
    const digest = keccak(encode(chainId, contract, id, index, seller));
    return { index, payee: seller, context: word(BigInt(digest) % SCALAR_ORDER) };
  });

  const domainType = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
  const domainSeparator = keccak(encode(keccakText(domainType), keccakText("zknode Predictions"), keccakText("1"), chainId, contract));
  const signature = (key, type, fields) => {
    const struct = keccak(encode(keccakText(type), id, ...Object.values(fields)));
    const digest = keccak(concat("0x1901", domainSeparator, struct));
    return { type, ...fields, digest, signature: cast("wallet", "sign", "--no-hash", "--private-key", key, digest) };
  };
  const hash = keccakText("content");
  return {
    chainId, contract, buyer, buyerKey, seller, sellerKey, round: { nonce, terms, id }, contexts, domainSeparator,
    voucher: signature(buyerKey, "Voucher(bytes32 round,uint32 count)", { count: 7 }),
    approval: signature(buyerKey, "Approval(bytes32 round,uint32 count)", { count: 7 }),
    request: signature(buyerKey, "Request(bytes32 round,uint32 index,bytes32 ciphertextHash)", { index: 3, ciphertextHash: hash }),
    audit: signature(buyerKey, "Audit(bytes32 round,uint32 index)", { index: 3 }),
    prediction: signature(sellerKey, "Prediction(bytes32 round,uint32 index,uint32 valid,bytes32 shardPointsHash)",
      { index: 3, valid: 5, shardPointsHash: hash }),
  };
}
