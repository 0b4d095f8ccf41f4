//! Random small networks: the circuit accepts what the executor says, counted here once more, and nothing else.
//!
//! `PROPTEST_CASES` sets the number of networks for the mock prover; the real one takes a tenth of them.

use crate::recipe::Recipe;
use crate::support::context;
use halo2_proofs::{dev::MockProver, halo2curves::bn256::Fr};
use proptest::prelude::*;
use rand::{rngs::StdRng, seq::SliceRandom, Rng, SeedableRng};
use std::sync::Arc;
use zknode_circuit::{
    attestation::{AttestationCircuit, Statement, Witness},
    commitment::{CommittedModel, CommittedShard, Seed},
    layout::Layout,
    network::Network,
    prove::Prover,
    srs::Srs,
    witness::{
        instance::{data_column, weight_columns, Sample},
        lanes::{Counts, Lanes},
    },
};

/// Networks unless the environment says otherwise.
const CASES: u32 = 64;

fn config(share: u32) -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config.cases = config.cases.div_ceil(share);
    config
}

/// A network, its layout, and a shard of at least one sample.
struct Random {
    network: Network,
    layout: Arc<Layout>,
    images: Vec<Vec<u8>>,
    labels: Vec<u16>,
}

impl Random {
    fn new(recipe: &Recipe) -> Self {
        let mut rng = StdRng::seed_from_u64(recipe.seed);
        let network = recipe.network(&mut rng);
        let layout = Arc::new(recipe.layout(&network));
        let cells = network.architecture().input.cells();
        let labelled = rng.gen_range(1..=layout.options().samples);
        // Flat images beside noisy ones: dark ones tie, bright ones clip.
        let image = |rng: &mut StdRng| match rng.gen_range(0..4) {
            0 => vec![0; cells],
            1 => vec![255; cells],
            _ => (0..cells).map(|_| rng.gen()).collect(),
        };
        let images = (0..labelled).map(|_| image(&mut rng)).collect();
        let classes = network.architecture().classes() as u16;
        let labels = (0..labelled).map(|_| rng.gen_range(0..classes)).collect();
        Self {
            network,
            layout,
            images,
            labels,
        }
    }

    fn samples(&self) -> Vec<Sample<'_>> {
        crate::support::samples(&self.images, &self.labels)
    }

    /// Phase 1 after one accumulator of one sample, padded ones included, has been changed by little.
    fn forge(&self) -> (Lanes, Counts) {
        let mut rng = StdRng::seed_from_u64(self.images.len() as u64);
        let blank = vec![0; self.network.architecture().input.cells()];
        let image = |n| self.images.get(n).unwrap_or(&blank);
        let mut traces: Vec<_> = (0..self.layout.options().samples)
            .map(|n| self.network.run(image(n)).unwrap())
            .collect();
        let trace = traces.choose_mut(&mut rng).unwrap();
        // The last layer's accumulators are read as the logits.
        let hidden = trace.accumulators.len() - 1;
        let tensors = trace.accumulators[..hidden].iter_mut();
        let mut tensors: Vec<_> = tensors.chain([&mut trace.logits]).collect();
        let cell = tensors.choose_mut(&mut rng).unwrap().choose_mut(&mut rng);
        *cell.unwrap() ^= 1;
        Lanes::from_traces(&self.layout, &self.samples(), &traces)
    }

    /// What the logits say: a label's rank is the number of classes before it, ties by index.
    fn count(&self) -> Counts {
        let mut counts = Counts {
            valid: self.images.len() as u32,
            ..Counts::default()
        };
        for (image, &label) in self.images.iter().zip(&self.labels) {
            let logits = self.network.run(image).unwrap().logits;
            let mut order: Vec<usize> = (0..logits.len()).collect();
            // Stable: of equal logits the lowest index stays first.
            order.sort_by_key(|&class| -logits[class]);
            let rank = order.iter().position(|&class| class == usize::from(label));
            counts.top1 += u32::from(rank == Some(0));
            counts.topk += u32::from(rank < Some(self.layout.options().top_k));
        }
        counts
    }
}

/// Claims next to the true one.
fn false_claims(counts: Counts) -> [Counts; 3] {
    let (mut top1, mut topk, mut valid) = (counts, counts, counts);
    top1.top1 += 1;
    topk.topk += 1;
    valid.valid -= 1;
    [top1, topk, valid]
}

proptest! {
    #![proptest_config(config(1))]
    #[test]
    fn the_mock_prover_accepts_what_the_executor_says_and_nothing_else(
        recipe in prop_oneof![crate::recipe::recipe(), crate::recipe::cut::recipe()],
    ) {
        let random = Random::new(&recipe);
        let layout = &random.layout;
        let (lanes, counts) = Lanes::run(layout, &random.network, &random.samples()).unwrap();
        prop_assert_eq!(counts, random.count());
        let salted = |mut column: Vec<Fr>| {
            column.resize(layout.usable(), Fr::from(recipe.seed));
            Arc::new(column)
        };
        let model = weight_columns(layout, &random.network).unwrap();
        let model: Vec<_> = model.into_iter().map(salted).collect();
        let data = salted(data_column(layout, &random.samples()).unwrap());
        let holds = |lanes: &Lanes, counts| {
            let (lanes, model, data) = (lanes.clone(), model.clone(), data.clone());
            let mut instance: Vec<_> = model.iter().map(|column| column.to_vec()).collect();
            instance.push(data.to_vec());
            let witness = Witness { lanes, model, data, alter: None };
            let circuit = AttestationCircuit::new(layout.clone(), Arc::new(witness));
            let mut public = vec![Fr::zero(); layout.score().expose()];
            public.extend(Statement::new(counts, context(7)).scalars().unwrap());
            instance.push(public);
            MockProver::run(layout.options().k, &circuit, instance).unwrap().verify()
        };
        prop_assert_eq!(holds(&lanes, counts), Ok(()));
        for claim in false_claims(counts) {
            prop_assert!(holds(&lanes, claim).is_err(), "{:?} for {:?}", claim, counts);
        }
        let (lanes, counts) = random.forge();
        prop_assert!(holds(&lanes, counts).is_err());
    }
}

proptest! {
    #![proptest_config(config(10))]
    #[test]
    fn so_does_the_verifier(recipe in prop_oneof![crate::recipe::recipe(), crate::recipe::cut::recipe()]) {
        let random = Random::new(&recipe);
        let layout = &random.layout;
        let srs = Arc::new(Srs::development(layout.options().k, |_, _| ()).unwrap());
        let samples = random.samples();
        let (network, seeds) = (&random.network, [1, 2].map(|byte| Seed::new([byte; 32])));
        let model = CommittedModel::new(layout, network, &seeds[0], &srs).unwrap();
        let shard = CommittedShard::new(layout, &samples, &seeds[1], &srs).unwrap();
        let prover = Prover::new(srs, layout.clone()).unwrap();
        let rng = || StdRng::seed_from_u64(recipe.seed);
        let honest = prover
            .prove((network, &model), (&samples, &shard), context(7), rng(), |_| ())
            .unwrap();
        let counts = random.count();
        prop_assert_eq!(honest.statement, Statement::new(counts, context(7)));
        prop_assert_eq!(prover.verifier().verify(&honest), Ok(()));
        for claim in false_claims(counts) {
            let mut altered = honest.clone();
            altered.statement = Statement::new(claim, context(7));
            prop_assert!(prover.verifier().verify(&altered).is_err(), "{:?}", claim);
            let (lanes, _) = Lanes::run(layout, network, &samples).unwrap();
            let witness = Witness {
                lanes,
                model: model.columns().iter().map(|c| c.values().clone()).collect(),
                data: shard.column().values().clone(),
                alter: None,
            };
            altered.proof = prover
                .prove_witness(witness, &altered.statement, rng(), &|_| ())
                .unwrap();
            prop_assert!(prover.verifier().verify(&altered).is_err(), "{:?}", claim);
        }
    }
}
