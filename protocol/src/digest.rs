//! Every hash both sides compute: Keccak-256 over ABI-encoded words, the ids of models, and the proof
//! context. The contract computes the same digests; `contracts/vectors/hashes.json` judges both.

use sha3::{Digest, Keccak256};

use crate::value::{Address, AgreementId, Amount, Bytes, Hash, ModelId, Point};

/// Keccak-256 of `bytes` (Ethereum's padding, not SHA-3's).
pub fn keccak(bytes: &[u8]) -> Hash {
    Bytes(Keccak256::digest(bytes).into())
}

/// One ABI-encoded value of static type: 32 bytes, numbers and addresses right-aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub [u8; 32]);

impl From<u128> for Word {
    fn from(number: u128) -> Self {
        let mut word = [0; 32];
        word[16..].copy_from_slice(&number.to_be_bytes());
        Self(word)
    }
}

impl From<u64> for Word {
    fn from(number: u64) -> Self {
        u128::from(number).into()
    }
}

impl From<u32> for Word {
    fn from(number: u32) -> Self {
        u128::from(number).into()
    }
}

impl From<Amount> for Word {
    fn from(amount: Amount) -> Self {
        amount.0.into()
    }
}

impl From<Address> for Word {
    fn from(address: Address) -> Self {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&address.0);
        Self(word)
    }
}

impl From<Hash> for Word {
    fn from(digest: Hash) -> Self {
        Self(digest.0)
    }
}

impl From<ModelId> for Word {
    fn from(id: ModelId) -> Self {
        id.0.into()
    }
}

impl From<AgreementId> for Word {
    fn from(id: AgreementId) -> Self {
        id.0.into()
    }
}

/// `keccak256(abi.encode(words...))`, for static types only.
pub fn hash_words(words: &[Word]) -> Hash {
    let mut hasher = Keccak256::new();
    for word in words {
        hasher.update(word.0);
    }
    Bytes(hasher.finalize().into())
}

/// `keccak256(p0 || p1 || ...)`: the digest of a commitment that is a list of points.
pub fn points_digest(points: &[Point]) -> Hash {
    let mut hasher = Keccak256::new();
    for point in points {
        hasher.update(point.0);
    }
    Bytes(hasher.finalize().into())
}

/// What a model's id is the hash of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelKey {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The registry contract.
    pub registry: Address,
    /// Who registers, stakes and is paid.
    pub seller: Address,
    /// The seller's own counter, so that one commitment may be registered twice.
    pub nonce: u64,
    /// Hash of the verifying key.
    pub architecture: Hash,
    /// The verifier contract for that key.
    pub verifier: Address,
    /// [`points_digest`] of the model commitment.
    pub points: Hash,
    /// Points of a shard's commitment.
    pub shard_points: u16,
}

/// The model's id: a hash, not a counter a reorganization could hand to someone else.
pub fn model_id(key: &ModelKey) -> ModelId {
    ModelId(hash_words(&[
        key.chain_id.into(),
        key.registry.into(),
        key.seller.into(),
        key.nonce.into(),
        key.architecture.into(),
        key.verifier.into(),
        key.points.into(),
        u32::from(key.shard_points).into(),
    ]))
}

/// What draws the preview of an agreement: the hash of the block named at its acceptance, and the agreement.
pub fn draw_seed(block: Hash, id: AgreementId) -> Hash {
    hash_words(&[block.into(), id.into()])
}

/// Order of the BN254 scalar field, big-endian (EIP-196).
pub const SCALAR_ORDER: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d,
    0x28, 0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x01,
];

/// The number a shard's proof is bound to: chain, escrow, agreement, shard and payee, hashed and reduced to a scalar
/// (big-endian). A proof made for one of them is worthless for any other.
pub fn proof_context(
    chain_id: u64,
    escrow: Address,
    id: AgreementId,
    shard: u32,
    payee: Address,
) -> [u8; 32] {
    let mut value = hash_words(&[
        chain_id.into(),
        escrow.into(),
        id.into(),
        shard.into(),
        payee.into(),
    ])
    .0;
    // 2^256 < 6 r: at most five subtractions.
    while value >= SCALAR_ORDER {
        let mut borrow = false;
        for (byte, order) in value.iter_mut().zip(SCALAR_ORDER).rev() {
            let (difference, first) = byte.overflowing_sub(order);
            let (difference, second) = difference.overflowing_sub(u8::from(borrow));
            *byte = difference;
            borrow = first || second;
        }
    }
    value
}
