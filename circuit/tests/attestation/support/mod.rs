//! A small network, everything needed to prove it, and its three judges: the mock prover, the verifier, and the
//! generated contract on a real EVM (with its reason printed where there is no compiler for it).

pub mod glue;
pub mod grid;
pub mod nets;
pub mod score;

use crate::chain::{compile, Chain};
use halo2_proofs::{
    dev::{metadata, MockProver, VerifyFailure},
    halo2curves::bn256::Fr,
    plonk::{Circuit, ConstraintSystem},
    poly::{
        commitment::{Blind, Params},
        EvaluationDomain,
    },
};
use halo2curves::group::Curve;
use rand::{rngs::StdRng, Rng, SeedableRng};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};
use zknode_circuit::{
    attestation::{AttestationCircuit, Context, Statement, Witness},
    commitment::{Commitment, CommittedModel, CommittedShard, ModelCommitment, Seed},
    evm::VerifierSource,
    gadget::Shape as GateShape,
    layout::{Grid, Layout, LayoutOptions},
    network::*,
    prove::Prover,
    srs::Srs,
    verify::{Attestation, AttestationError},
    witness::{
        instance::Sample,
        lanes::{Counts, Lanes},
    },
};

pub const K: u32 = 12;
/// Labelled samples; the layout has three more, padded, or seven on ten lanes.
pub const LABELLED: usize = 13;

/// What a copy constraint says when it fails; gates say their own names.
pub const COPY: &str = "copy";

/// One honest case, shared by all tests of a file.
pub struct Case {
    pub prover: Prover,
    pub network: Network,
    pub images: Vec<Vec<u8>>,
    pub labels: Vec<u16>,
    pub model: CommittedModel,
    pub shard: CommittedShard,
    contract: OnceLock<Option<Contract>>,
}

/// The generated contract, and what encodes calls to it.
struct Contract {
    source: VerifierSource,
    chain: Mutex<Chain>,
}

impl Case {
    pub fn get() -> &'static Self {
        static CASE: OnceLock<Case> = OnceLock::new();
        CASE.get_or_init(|| {
            let mut rng = StdRng::seed_from_u64(1);
            let network = nets::net(&mut rng);
            Self::of(network, &mut rng)
        })
    }

    /// The same on lanes whose lookups are grouped without a rest.
    pub fn on_ten_lanes() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let network = nets::net(&mut rng);
        Self::on_lanes(network, &mut rng, 10)
    }

    /// Random images, and labels that take turns.
    pub fn of(network: Network, rng: &mut StdRng) -> Self {
        Self::on_lanes(network, rng, 8)
    }

    fn on_lanes(network: Network, rng: &mut StdRng, lanes: usize) -> Self {
        let options = LayoutOptions {
            k: K,
            lanes,
            samples: 2 * lanes,
            grid: Grid::WHOLE,
            top_k: 2,
        };
        Self::laid_out(network, rng, options, LABELLED)
    }

    /// Three images in two by three tiles, one of them padded, on an odd number of lanes; two columns of weights.
    pub fn cut() -> &'static Self {
        static CASE: OnceLock<Case> = OnceLock::new();
        CASE.get_or_init(|| {
            let mut rng = StdRng::seed_from_u64(1);
            let network = nets::cut_net(&mut rng);
            let options = LayoutOptions {
                k: K,
                lanes: 9,
                samples: 3,
                grid: nets::CUT,
                top_k: 2,
            };
            let case = Self::laid_out(network, &mut rng, options, 2);
            assert_eq!(case.layout().weights().columns(), 2);
            case
        })
    }

    /// Max poolings, of an image that is cut and of activations that the next layer reads from all sides.
    pub fn pooled() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let network = nets::pooled_net(&mut rng);
        let options = LayoutOptions {
            k: K,
            lanes: 8,
            samples: 4,
            grid: nets::POOLED,
            top_k: 2,
        };
        Self::laid_out(network, &mut rng, options, 3)
    }

    fn laid_out(
        network: Network,
        rng: &mut StdRng,
        options: LayoutOptions,
        labelled: usize,
    ) -> Self {
        let architecture = network.architecture().clone();
        let mut images = random_images(rng, architecture.input.cells());
        images.truncate(labelled);
        let classes = architecture.classes();
        let labels: Vec<u16> = (0..labelled).map(|n| (n % classes) as u16).collect();
        let k = options.k;
        let layout = Arc::new(Layout::new(architecture, options).unwrap());
        let srs = Arc::new(Srs::development(k, |_, _| ()).unwrap());
        let model = CommittedModel::new(&layout, &network, &Seed::new([1; 32]), &srs).unwrap();
        let samples = samples(&images, &labels);
        let shard = CommittedShard::new(&layout, &samples, &Seed::new([2; 32]), &srs).unwrap();
        let prover = Prover::new(srs, layout).unwrap();
        Self {
            prover,
            network,
            images,
            labels,
            model,
            shard,
            contract: OnceLock::new(),
        }
    }

    /// Whether the contract accepts; `None` without a compiler.
    pub fn contract_accepts(&self, attestation: &Attestation) -> Option<bool> {
        let verifier = self.prover.verifier();
        let contract = self.contract.get_or_init(|| {
            let (kzg, basis) = (verifier.kzg(), verifier.statement_basis());
            let source = VerifierSource::new(kzg, verifier.key(), basis).unwrap();
            let chain = Mutex::new(Chain::deploy(compile(&source)?));
            Some(Contract { source, chain })
        });
        let Contract { source, chain } = contract.as_ref()?;
        let model = attestation.model.columns().iter();
        let points: Vec<_> = model
            .chain([&attestation.shard])
            .map(|c| c.point().unwrap())
            .collect();
        let scalars = attestation.statement.scalars().unwrap();
        let calldata = source.calldata(&points, &scalars, &attestation.proof);
        let mut chain = chain
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        Some(chain.call(calldata.unwrap()).accepted)
    }

    /// The network with one linear layer of another one.
    pub fn with_layer(&self, layer: usize, other: &Network) -> Network {
        let mut weights = self.network.weights().clone();
        weights.layers[layer] = other.weights().layers[layer].clone();
        Network::new(self.network.architecture().clone(), weights).unwrap()
    }

    pub fn layout(&self) -> &Layout {
        self.prover.layout()
    }

    pub fn samples(&self) -> Vec<Sample<'_>> {
        samples(&self.images, &self.labels)
    }

    /// Runs of the committed network over the shard, padded samples included.
    pub fn traces(&self) -> Vec<Trace> {
        let blank = vec![0; self.layout().architecture().input.cells()];
        (0..self.layout().options().samples)
            .map(|n| {
                self.network
                    .run(self.images.get(n).unwrap_or(&blank))
                    .unwrap()
            })
            .collect()
    }

    pub fn honest(&self) -> (Lanes, Counts) {
        Lanes::run(self.layout(), &self.network, &self.samples()).unwrap()
    }

    /// The committed columns with these lanes.
    pub fn witness(&self, lanes: Lanes) -> Witness {
        Witness {
            lanes,
            model: (self.model.columns().iter())
                .map(|column| column.values().clone())
                .collect(),
            data: self.shard.column().values().clone(),
            alter: None,
        }
    }

    /// The constraints that fail, by the mock prover: each gate's by name, copies as [`COPY`].
    pub fn complaints(&self, witness: &Witness, statement: &Statement) -> BTreeSet<String> {
        let mut public = vec![Fr::zero(); self.layout().score().expose()];
        public.extend(statement.scalars().unwrap());
        let model = witness.model.iter().map(|column| column.to_vec());
        let columns = model.chain([witness.data.to_vec(), public]).collect();
        let circuit =
            AttestationCircuit::new(self.prover.layout().clone(), Arc::new(witness.clone()));
        let mock = MockProver::run(self.layout().options().k, &circuit, columns).unwrap();
        let failures = mock.verify().err().unwrap_or_default();
        failures.iter().map(complaint).collect()
    }

    /// The mock prover, the verifier and the contract refuse `witness` for these counts. Returns the complaints.
    pub fn refuse(&self, what: &str, witness: Witness, counts: Counts) -> BTreeSet<String> {
        let statement = Statement::new(counts, context(7));
        let complaints = self.complaints(&witness, &statement);
        assert!(!complaints.is_empty(), "{what}: the constraints hold");
        let attestation = self.attest(witness, statement);
        let verdict = self.prover.verifier().verify(&attestation);
        // Past the verifier's plain checks of the counts, so that the proof itself is judged.
        assert!(
            matches!(verdict, Err(AttestationError::Proof(_))),
            "{what}: {verdict:?}"
        );
        assert_ne!(
            self.contract_accepts(&attestation),
            Some(true),
            "{what}: the contract accepts"
        );
        complaints
    }

    /// What a prover that checks nothing would hand out, for the columns of the witness.
    pub fn attest(&self, witness: Witness, statement: Statement) -> Attestation {
        let rng = StdRng::seed_from_u64(3);
        let model = witness.model.iter().map(|column| self.commit(column));
        let model = ModelCommitment::new(model.collect());
        let shard = self.commit(&witness.data);
        let proof = self
            .prover
            .prove_witness(witness, &statement, rng, &|_| ())
            .unwrap();
        Attestation {
            model,
            shard,
            statement,
            proof,
        }
    }

    fn commit(&self, column: &[Fr]) -> Commitment {
        let mut rows = column.to_vec();
        rows.resize(self.layout().rows(), Fr::zero());
        let rows =
            EvaluationDomain::<Fr>::new(1, self.layout().options().k).lagrange_from_vec(rows);
        let params = self.prover.srs().params();
        let point = params.commit_lagrange(&rows, Blind::default());
        point.to_affine().into()
    }
}

/// Whether this constraint alone complains.
pub fn alone(complaints: &BTreeSet<String>, constraint: &str) -> bool {
    complaints.len() == 1 && complaints.iter().all(|text| text.contains(constraint))
}

fn complaint(failure: &VerifyFailure) -> String {
    match failure {
        VerifyFailure::ConstraintNotSatisfied { constraint, .. }
        | VerifyFailure::ConstraintPoisoned { constraint } => constraint.to_string(),
        VerifyFailure::Permutation { .. } => COPY.into(),
        other => other.to_string(),
    }
}

/// Every constraint of the circuit, named as complaints name them, and [`COPY`].
pub fn all_complaints(shape: GateShape) -> BTreeSet<String> {
    let mut cs = ConstraintSystem::<Fr>::default();
    AttestationCircuit::configure_with_params(&mut cs, shape);
    let mut names = BTreeSet::from([COPY.to_string()]);
    for (index, gate) in cs.gates().iter().enumerate() {
        for constraint in 0..gate.polynomials().len() {
            let of = metadata::Gate::from((index, gate.name()));
            let name = gate.constraint_name(constraint);
            names.insert(metadata::Constraint::from((of, constraint, name)).to_string());
        }
    }
    names
}

pub fn context(byte: u8) -> Context {
    let mut bytes = [0; 32];
    bytes[31] = byte;
    Context(bytes)
}

pub fn random_images(rng: &mut StdRng, pixels: usize) -> Vec<Vec<u8>> {
    (0..LABELLED)
        .map(|_| (0..pixels).map(|_| rng.gen()).collect())
        .collect()
}

pub fn samples<'a>(images: &'a [Vec<u8>], labels: &[u16]) -> Vec<Sample<'a>> {
    let pairs = images.iter().zip(labels);
    pairs
        .map(|(pixels, &label)| Sample { pixels, label })
        .collect()
}
