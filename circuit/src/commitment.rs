//! Salted commitments: a column of values, then uniformly random rows, under one KZG commitment.
//!
//! A commitment to a column is one linear functional of it (its value at the secret `tau`), and
//! every proof that uses the column opens it at one more random point. With `S` salt rows any `S`
//! such functionals are jointly uniform and say nothing about the values, so a commitment may be
//! opened `S - 1` times, by whomever: [`OpeningBudget`] counts one owner's proofs, so a commitment
//! serves one agreement (the node commits afresh for each). Past it the owner must commit again with
//! fresh salt. Unsalted, a commitment to small values could simply be guessed.
//!
//! Advice columns are hidden by halo2's six random rows against at most four functionals each. The
//! quotient's pieces carry no blind of their own under KZG: that they say nothing rests on the spare
//! random rows of all columns together, a count and not a proof (eprint 2024/848 on the general
//! question).
//!
//! The salt is stretched from a stored 32-byte seed by ChaCha20, so an opening is the values and
//! the seed.

use crate::{
    layout::Layout,
    network::Network,
    srs::Srs,
    transcript::encode_point,
    witness::instance::{data_column, weight_columns, Sample, ShardError},
};
use halo2_proofs::{
    arithmetic::Field,
    poly::{
        commitment::{Blind, Params},
        EvaluationDomain,
    },
};
use halo2curves::{
    bn256::{Fq, Fr, G1Affine},
    ff::PrimeField,
    group::Curve,
    CurveAffine,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};
use std::{fmt, ops::Range, sync::Arc};
use thiserror::Error;

/// A point of BN254 G1 as it stands in calldata: `x || y`, 32 bytes each, big-endian. It may name
/// no point of the curve: [`Commitment::point`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commitment([u8; 64]);

impl Commitment {
    /// From calldata bytes.
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
    /// The calldata bytes.
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.0
    }
    /// The point, or `None` where the bytes are not canonical or off the curve.
    pub fn point(&self) -> Option<G1Affine> {
        let coordinate = |range: Range<usize>| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(self.0.get(range)?);
            bytes.reverse();
            Option::<Fq>::from(Fq::from_repr(bytes))
        };
        let (x, y) = (coordinate(0..32)?, coordinate(32..64)?);
        if bool::from(x.is_zero() & y.is_zero()) {
            return Some(G1Affine::default());
        }
        Option::from(G1Affine::from_xy(x, y))
    }
    /// Keccak-256 of the calldata bytes: how contracts name the commitment.
    pub fn digest(&self) -> [u8; 32] {
        Keccak256::digest(self.0).into()
    }
}

impl From<G1Affine> for Commitment {
    fn from(point: G1Affine) -> Self {
        Self(encode_point(&point))
    }
}

impl TryFrom<String> for Commitment {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text.trim_start_matches("0x"), &mut bytes)
            .map_err(|error| format!("a commitment is 64 bytes of hex: {error}"))?;
        Ok(Self(bytes))
    }
}

impl From<Commitment> for String {
    fn from(commitment: Commitment) -> Self {
        format!("0x{}", hex::encode(commitment.0))
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The seed of a column's salt. Secret: whoever has it can test guesses of the values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed(#[serde(with = "hex::serde")] [u8; 32]);

impl Seed {
    /// A fresh seed.
    pub fn random(rng: &mut impl RngCore) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
    /// From stored bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// The bytes, to store them.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(secret)")
    }
}

/// Why a column is not committed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The samples or the model do not fit the layout.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The reference string is for another number of rows.
    #[error("the circuit has 2^{expected} rows, the reference string 2^{found}; use one of the same size")]
    Srs {
        /// k of the layout.
        expected: u32,
        /// k of the string.
        found: u32,
    },
}

/// A committed column with its salt. Secret but for the commitment.
#[derive(Clone)]
pub struct SaltedColumn {
    values: Arc<Vec<Fr>>,
    commitment: Commitment,
    salt_rows: usize,
}

impl SaltedColumn {
    fn new(
        layout: &Layout,
        srs: &Srs,
        mut values: Vec<Fr>,
        salt: Range<usize>,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, CommitError> {
        let k = layout.options().k;
        if srs.k() != k {
            return Err(CommitError::Srs {
                expected: k,
                found: srs.k(),
            });
        }
        values.resize(layout.usable(), Fr::zero());
        let salt_rows = salt.len();
        for cell in &mut values[salt] {
            *cell = Fr::random(&mut *rng);
        }
        let mut rows = values.clone();
        rows.resize(layout.rows(), Fr::zero());
        let rows = EvaluationDomain::<Fr>::new(1, k).lagrange_from_vec(rows);
        let point = srs.params().commit_lagrange(&rows, Blind::default());
        Ok(Self {
            values: Arc::new(values),
            commitment: point.to_affine().into(),
            salt_rows,
        })
    }

    /// A column that was put together from others, salt included, with the commitment put together likewise.
    pub(crate) fn assembled(values: Vec<Fr>, commitment: Commitment, salt_rows: usize) -> Self {
        Self {
            values: Arc::new(values),
            commitment,
            salt_rows,
        }
    }

    /// The commitment.
    pub fn commitment(&self) -> Commitment {
        self.commitment
    }
    /// Values and salt, one per usable row: the opening itself.
    pub fn values(&self) -> &Arc<Vec<Fr>> {
        &self.values
    }
    /// How many proofs may open this commitment.
    pub fn opening_limit(&self) -> u32 {
        self.salt_rows as u32 - 1
    }
}

/// The commitments of a model's weight columns, in their order: what names a model.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelCommitment(Vec<Commitment>);

impl ModelCommitment {
    /// Of these columns.
    pub fn new(columns: Vec<Commitment>) -> Self {
        Self(columns)
    }
    /// One commitment a column.
    pub fn columns(&self) -> &[Commitment] {
        &self.0
    }
    /// The calldata bytes of all columns.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|column| column.0).collect()
    }
    /// Keccak-256 of the calldata bytes: how contracts name the model.
    pub fn digest(&self) -> [u8; 32] {
        Keccak256::digest(self.bytes()).into()
    }
}

impl TryFrom<String> for ModelCommitment {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bytes = hex::decode(text.trim_start_matches("0x"))
            .map_err(|error| format!("a model commitment is hex: {error}"))?;
        let columns = bytes.chunks_exact(64);
        if bytes.is_empty() || !columns.remainder().is_empty() {
            let found = bytes.len();
            return Err(format!(
                "a model commitment is 64 bytes for each weight column, found {found} bytes"
            ));
        }
        let columns = columns.filter_map(|column| column.try_into().ok());
        Ok(Self(columns.map(Commitment).collect()))
    }
}

impl From<ModelCommitment> for String {
    fn from(commitment: ModelCommitment) -> Self {
        commitment.to_string()
    }
}

impl fmt::Display for ModelCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.bytes()))
    }
}

impl fmt::Debug for ModelCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A model's committed weight columns.
#[derive(Clone)]
pub struct CommittedModel(Vec<SaltedColumn>);

impl CommittedModel {
    /// Commits to `network`'s weights with salt from `seed`: one stream, column after column.
    pub fn new(
        layout: &Layout,
        network: &Network,
        seed: &Seed,
        srs: &Srs,
    ) -> Result<Self, CommitError> {
        let mut rng = ChaCha20Rng::from_seed(seed.0);
        let columns = weight_columns(layout, network)?.into_iter();
        let columns = columns
            .map(|values| SaltedColumn::new(layout, srs, values, layout.weight_salt(), &mut rng))
            .collect::<Result<_, _>>()?;
        Ok(Self(columns))
    }
    /// The columns, one at least.
    pub fn columns(&self) -> &[SaltedColumn] {
        &self.0
    }
    /// Their commitments.
    pub fn commitment(&self) -> ModelCommitment {
        ModelCommitment(self.0.iter().map(SaltedColumn::commitment).collect())
    }
    /// How many proofs may open them: each opens every column once.
    pub fn opening_limit(&self) -> u32 {
        let limits = self.0.iter().map(SaltedColumn::opening_limit);
        limits.min().unwrap_or_default()
    }
}

/// A shard's committed data column.
#[derive(Clone)]
pub struct CommittedShard(SaltedColumn);

impl CommittedShard {
    /// Commits to `samples` with salt from `seed`; a shard shorter than the layout is padded.
    pub fn new(
        layout: &Layout,
        samples: &[Sample<'_>],
        seed: &Seed,
        srs: &Srs,
    ) -> Result<Self, CommitError> {
        let values = data_column(layout, samples)?;
        let mut rng = ChaCha20Rng::from_seed(seed.0);
        SaltedColumn::new(layout, srs, values, layout.data_salt(), &mut rng).map(Self)
    }
    /// The column.
    pub fn column(&self) -> &SaltedColumn {
        &self.0
    }
}

/// How often a commitment was opened, and how often it may be. Stored by the owner; spent
/// *before* a proof is made, so that a crash can only count too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningBudget {
    spent: u32,
    limit: u32,
}

/// A commitment was opened as often as its salt hides.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("this commitment was opened {limit} times, as often as its salt hides it; commit again with fresh salt")]
pub struct BudgetSpent {
    /// The limit that was reached.
    pub limit: u32,
}

impl OpeningBudget {
    /// An unspent budget of so many openings.
    pub fn new(limit: u32) -> Self {
        Self { spent: 0, limit }
    }
    /// Counts one opening, or refuses.
    pub fn spend(&mut self) -> Result<(), BudgetSpent> {
        if self.spent >= self.limit {
            return Err(BudgetSpent { limit: self.limit });
        }
        self.spent += 1;
        Ok(())
    }
    /// Openings left.
    pub fn left(&self) -> u32 {
        self.limit - self.spent.min(self.limit)
    }
}
