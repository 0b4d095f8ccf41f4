//! The prover: keys of a layout, and attestations.

use crate::{
    attestation::{AttestationCircuit, Context, Statement, Witness},
    commitment::{CommitError, CommittedModel, CommittedShard, SaltedColumn},
    corpus::{CorpusError, Selection},
    cost::Cost,
    layout::Layout,
    network::Network,
    plonk::{create_proof, KeyCosets, KzgVerifierKey, ProveError},
    srs::Srs,
    verify::{Attestation, AttestationError, Verifier},
    witness::{
        instance::{data_column, weight_columns, Sample, ShardError},
        lanes::{Counts, Lanes},
    },
};
use halo2_proofs::{
    plonk::{keygen_pk, keygen_vk, ProvingKey},
    poly::{
        commitment::{Blind, Params},
        EvaluationDomain,
    },
};
use halo2curves::{
    bn256::{Fr, G1Affine},
    group::Curve,
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use thiserror::Error;

/// Why no attestation is made.
#[derive(Debug, Error)]
pub enum ProverError {
    /// Model, shard or reference string do not fit the layout.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A choice of a corpus's items does not fit the layout.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The samples are not those of the commitment.
    #[error("the samples are not the ones the shard commitment was made from")]
    OtherSamples,
    /// The weights are not those of the commitment.
    #[error("the weights are not the ones the model commitment was made from")]
    OtherWeights,
    /// The context is not a scalar.
    #[error("the context is not a canonical scalar; it must be below the BN254 scalar modulus")]
    Context,
    /// halo2 made no key.
    #[error("key generation failed: {0}")]
    Keys(halo2_proofs::plonk::Error),
    /// halo2 made no proof.
    #[error("proving failed: {0}")]
    Prove(#[from] ProveError),
    /// The proof does not verify: hardware or a defect, never the data.
    #[error("the finished proof does not verify, it is not given out: {0}")]
    SelfCheck(AttestationError),
}

impl From<ShardError> for ProverError {
    fn from(error: ShardError) -> Self {
        Self::Commit(error.into())
    }
}

/// Where the prover stands; reported as each stage begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Network runs and phase-1 cells.
    Witness,
    /// Instance and phase-1 commitments.
    Commitments,
    /// Phase 2: the lookups' fractions, the linear layers' claims and glue, and their commitments.
    Checks,
    /// The copy argument.
    Copies,
    /// The quotient polynomial.
    Quotient,
    /// Evaluations and the opening.
    Opening,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Witness => "running the network",
            Self::Commitments => "committing",
            Self::Checks => "lookups and linear checks",
            Self::Copies => "copies",
            Self::Quotient => "quotient",
            Self::Opening => "opening",
        })
    }
}

/// Proving key of a layout.
pub struct Prover {
    layout: Arc<Layout>,
    srs: Arc<Srs>,
    key: ProvingKey<G1Affine>,
    /// Made by the first proof.
    cosets: OnceLock<KeyCosets>,
    verifier: Verifier,
}

impl Prover {
    /// Makes the keys. Deterministic: the same layout and reference string give the same keys.
    pub fn new(srs: Arc<Srs>, layout: Arc<Layout>) -> Result<Self, ProverError> {
        check_size(&srs, &layout)?;
        let circuit = AttestationCircuit::blank(layout.clone());
        let key = keygen_vk(srs.params(), &circuit).map_err(ProverError::Keys)?;
        let key = keygen_pk(srs.params(), key, &circuit).map_err(ProverError::Keys)?;
        Self::from_key(srs, layout, key)
    }

    /// With keys that are this layout's and reference string's.
    pub(crate) fn from_key(
        srs: Arc<Srs>,
        layout: Arc<Layout>,
        key: ProvingKey<G1Affine>,
    ) -> Result<Self, ProverError> {
        check_size(&srs, &layout)?;
        let verifier = Verifier::new(
            &layout,
            KzgVerifierKey::from(srs.params()),
            key.get_vk().clone(),
            statement_basis(&srs, &layout),
        );
        Ok(Self {
            layout,
            srs,
            key,
            cosets: OnceLock::new(),
            verifier,
        })
    }

    /// The key's columns on the quotient's cosets, where they are worth their memory.
    fn cosets(&self) -> Option<&KeyCosets> {
        let kept = Cost::keeps_cosets(self.layout.options().k);
        kept.then(|| self.cosets.get_or_init(|| KeyCosets::new(&self.key)))
    }

    pub(crate) fn key(&self) -> &ProvingKey<G1Affine> {
        &self.key
    }
    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
    /// The layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
    /// The reference string.
    pub fn srs(&self) -> &Arc<Srs> {
        &self.srs
    }

    /// Proves how a network does on samples, each with its commitment, for this context only.
    /// Counts one opening of both commitments: the caller spends their budgets first.
    pub fn prove(
        &self,
        (network, model): (&Network, &CommittedModel),
        (samples, shard): (&[Sample<'_>], &CommittedShard),
        context: Context,
        rng: impl RngCore + CryptoRng,
        on_stage: impl Fn(Stage) + Sync,
    ) -> Result<Attestation, ProverError> {
        on_stage(Stage::Witness);
        self.check_weights(network, model)?;
        let data = data_column(&self.layout, samples)?;
        if !shard.column().values().starts_with(&data) {
            return Err(ProverError::OtherSamples);
        }
        let run = Lanes::run(&self.layout, network, samples)?;
        self.attest(model, shard.column(), run, context, rng, on_stage)
    }

    /// Proves for how many of the chosen items of a corpus the network ranks the class they are labelled with first, for
    /// this context only. Counts one opening of the model's commitment and of each item's.
    pub fn prove_selection(
        &self,
        (network, model): (&Network, &CommittedModel),
        selection: &Selection,
        context: Context,
        rng: impl RngCore + CryptoRng,
        on_stage: impl Fn(Stage) + Sync,
    ) -> Result<Attestation, ProverError> {
        on_stage(Stage::Witness);
        self.check_weights(network, model)?;
        let run = selection.run(&self.layout, network)?;
        self.attest(model, selection.column(), run, context, rng, on_stage)
    }

    fn attest(
        &self,
        model: &CommittedModel,
        data: &SaltedColumn,
        (lanes, counts): (Lanes, Counts),
        context: Context,
        rng: impl RngCore + CryptoRng,
        on_stage: impl Fn(Stage) + Sync,
    ) -> Result<Attestation, ProverError> {
        let statement = Statement::new(counts, context);
        let witness = Witness {
            lanes,
            model: model.columns().iter().map(|c| c.values().clone()).collect(),
            data: data.values().clone(),
            alter: None,
        };
        let proof = self.prove_witness(witness, &statement, rng, &on_stage)?;
        let attestation = Attestation {
            model: model.commitment(),
            shard: data.commitment(),
            statement,
            proof,
        };
        self.verifier
            .verify(&attestation)
            .map_err(ProverError::SelfCheck)?;
        Ok(attestation)
    }

    /// Makes a proof from any witness and statement, true or not: what a cheating prover has.
    /// Nothing is checked here; a false one does not verify.
    pub fn prove_witness(
        &self,
        witness: Witness,
        statement: &Statement,
        rng: impl RngCore + CryptoRng,
        on_stage: &(impl Fn(Stage) + Sync),
    ) -> Result<Vec<u8>, ProverError> {
        let scalars = statement.scalars().ok_or(ProverError::Context)?;
        let mut public = vec![Fr::zero(); self.layout.score().expose()];
        public.extend(scalars);
        let (model, data) = (witness.model.clone(), witness.data.clone());
        let mut instances: Vec<&[Fr]> = model.iter().map(|column| &column[..]).collect();
        instances.extend([&data[..], &public[..]]);
        let circuit = AttestationCircuit::new(self.layout.clone(), Arc::new(witness));
        on_stage(Stage::Commitments);
        let proof = create_proof(
            self.srs.params(),
            (&self.key, self.cosets()),
            circuit,
            &instances,
            rng,
            &|round| {
                let next = [
                    Stage::Checks,
                    Stage::Copies,
                    Stage::Quotient,
                    Stage::Opening,
                ];
                if let Some(stage) = next.get(round) {
                    on_stage(*stage);
                }
            },
        )?;
        Ok(proof)
    }

    /// The columns must be the values': a proof over other ones would be about another model.
    fn check_weights(&self, network: &Network, model: &CommittedModel) -> Result<(), ProverError> {
        let weights = weight_columns(&self.layout, network)?;
        let columns = model.columns();
        let same =
            |(column, weights): (&SaltedColumn, &Vec<Fr>)| column.values().starts_with(weights);
        if columns.len() != weights.len() || !columns.iter().zip(&weights).all(same) {
            return Err(ProverError::OtherWeights);
        }
        Ok(())
    }
}

fn check_size(srs: &Srs, layout: &Layout) -> Result<(), ProverError> {
    let k = layout.options().k;
    match srs.k() == k {
        true => Ok(()),
        false => Err(ProverError::Commit(CommitError::Srs {
            expected: k,
            found: srs.k(),
        })),
    }
}

/// Lagrange points of the four rows that hold the statement.
fn statement_basis(srs: &Srs, layout: &Layout) -> [G1Affine; 4] {
    let domain = EvaluationDomain::<Fr>::new(1, layout.options().k);
    [0, 1, 2, 3].map(|offset| {
        let mut rows = vec![Fr::zero(); layout.rows()];
        rows[layout.score().expose() + offset] = Fr::one();
        let rows = domain.lagrange_from_vec(rows);
        srs.params()
            .commit_lagrange(&rows, Blind::default())
            .to_affine()
    })
}
