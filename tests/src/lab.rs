//! A registered model and a committed test set with both parties played by hand: real proofs, judged by the real
//! contracts, for agreements in any state.

use anyhow::Context;
use rand::{rngs::StdRng, SeedableRng};
use zknode::{
    card::shard_claim,
    delivery::{Sample, ShardOpening},
    home::Home,
    progress::Progress,
    proving_keys,
    seller::model::{registered, OwnModel},
    setup,
    store::Store,
    testset::{model_points, shard_points},
};
use zknode_circuit::{
    attestation::Context as ProofContext,
    commitment::{CommittedModel, CommittedShard, Seed},
    network::Network,
    prove::Prover,
    verify::Attestation,
};
use zknode_protocol::{
    agreement::{Metric, Mode, State, Terms},
    chain::{AgreementSummary, Call, Chain, ShardProof},
    claim_tree::{ClaimTree, ShardClaim},
    dataset_root::{DatasetTree, ShardLeaf},
    digest::{keccak, proof_context},
    value::{Address, AgreementId, Amount, Data, Hash},
};

use crate::{
    hands::Hands,
    stage::Stage,
    tiny::{self, Labelled},
};

/// What the agreements of the laboratory are about, in wei.
pub const PRICE: u128 = 1_000_000;
/// The seller's deposit.
pub const BOND: u128 = 2_000;
/// Of it, what a count below the threshold costs.
pub const PENALTY: u128 = 300;
/// The buyer's deposit.
pub const BUYER_BOND: u128 = 70;
/// What going away costs the seller.
pub const PREVIEW_FEE: u128 = 50;
/// What a contested proof earns.
pub const CONTEST_FEE: u128 = 40;

/// The place.
pub struct Lab {
    /// The chain and the roles' files. No node runs.
    pub stage: Stage,
    /// The seller.
    pub seller: Hands,
    /// The buyer.
    pub buyer: Hands,
    /// Proves for the model's architecture.
    pub prover: Prover,
    /// What is registered.
    pub model: OwnModel,
}

/// A committed test set.
pub struct TestSet {
    /// What the buyer hands over.
    pub openings: Vec<ShardOpening>,
    /// Committed, in the same order.
    pub committed: Vec<CommittedShard>,
    /// Over the commitments.
    pub tree: DatasetTree,
}

impl TestSet {
    /// Samples in it.
    pub fn samples(&self) -> u32 {
        self.openings
            .iter()
            .map(|one| one.samples.len() as u32)
            .sum()
    }

    /// Its shards.
    pub fn shards(&self) -> u32 {
        self.openings.len() as u32
    }
}

impl Lab {
    /// Over the stage's own model.
    pub async fn new() -> anyhow::Result<Option<Self>> {
        match Stage::new().await? {
            Some(stage) => Ok(Some(Self::over(stage).await?)),
            None => Ok(None),
        }
    }

    /// Over another network.
    pub async fn with(network: Network) -> anyhow::Result<Option<Self>> {
        match Stage::with(network).await? {
            Some(stage) => Ok(Some(Self::over(stage).await?)),
            None => Ok(None),
        }
    }

    async fn over(stage: Stage) -> anyhow::Result<Self> {
        let home = Home::open(stage.seller.home())?;
        let record = {
            let store = Store::open(home.database())?;
            let found = registered(&store)?.into_iter().next();
            found.context("no model is registered")?.1
        };
        let network = OwnModel::network(&home, &record)?;
        let layout = setup::layout(network.architecture(), &record.layout)?;
        let k = layout.options().k;
        let srs = setup::reference_string(&home, k, Some(31_337), &Progress::new())?;
        let model = OwnModel::load(&home, record, layout.clone(), &srs)?;
        let prover = proving_keys::fresh_keys(srs, layout, &Progress::new())?;
        Ok(Self {
            seller: Hands::of(&stage, &stage.seller, "seller").await?,
            buyer: Hands::of(&stage, &stage.buyer, "buyer").await?,
            stage,
            prover,
            model,
        })
    }

    /// Commits to samples.
    pub fn commit(&self, samples: &[Labelled]) -> anyhow::Result<TestSet> {
        let mut rng = StdRng::seed_from_u64(1);
        let (mut openings, mut committed, mut leaves) = (vec![], vec![], vec![]);
        for (index, chunk) in (0..).zip(samples.chunks(tiny::SHARD)) {
            let opening = ShardOpening {
                seed: Seed::random(&mut rng),
                samples: chunk.iter().map(sample).collect(),
            };
            let shard = self.commit_shard(&opening)?;
            let points = shard_points(&shard.column().commitment());
            leaves.push(ShardLeaf::new(index, chunk.len() as u32, &points));
            openings.push(opening);
            committed.push(shard);
        }
        Ok(TestSet {
            openings,
            committed,
            tree: DatasetTree::new(leaves)?,
        })
    }

    /// Commits to one shard.
    pub fn commit_shard(&self, opening: &ShardOpening) -> anyhow::Result<CommittedShard> {
        Ok(opening.commit(self.prover.layout(), self.prover.srs())?)
    }

    /// Terms over a test set, every window 1,000 seconds long.
    pub async fn terms(&self, set: &TestSet, threshold: u32, mode: Mode) -> anyhow::Result<Terms> {
        let now = self.buyer.chain.head().await?.time;
        Ok(Terms {
            model: self.stage.model,
            dataset_root: set.tree.root(),
            token: Address::ZERO,
            shards: set.shards(),
            samples: set.samples(),
            threshold,
            price: Amount(PRICE),
            buyer_bond: Amount(BUYER_BOND),
            bond: Amount(BOND),
            penalty: Amount(PENALTY),
            preview_fee: Amount(PREVIEW_FEE),
            contest_fee: Amount(CONTEST_FEE),
            accept_by: now + 1_000,
            preview_by: now + 2_000,
            deliver_by: now + 4_000,
            claim_by: now + 6_000,
            metric: Metric::Top1,
            mode,
            preview_shards: 1,
            response_time: 1_000,
            window: 1_000,
            prove_time: 1_000,
        })
    }

    /// Takes an agreement from nothing to a state that it passes on its way to settlement: as far as the test set is
    /// delivered.
    pub async fn bring_to(&self, terms: Terms, state: State) -> anyhow::Result<AgreementId> {
        let (id, _) = self.buyer.open(Call::Open(terms)).await?;
        let ciphertext = keccak(b"sealed");
        let road = [
            (State::Accepted, &self.seller, accept(id)),
            (State::Drawn, &self.buyer, Call::Draw(id)),
            (
                State::PreviewSent,
                &self.buyer,
                Call::Send { id, ciphertext },
            ),
            (
                State::Previewed,
                &self.seller,
                Call::Proceed {
                    id,
                    ciphertext,
                    signature: None,
                },
            ),
            (State::RestSent, &self.buyer, Call::Send { id, ciphertext }),
            (
                State::Delivered,
                &self.seller,
                Call::Acknowledge {
                    id,
                    ciphertext,
                    signature: None,
                },
            ),
        ];
        for (next, hands, call) in road {
            if state < next {
                break;
            }
            if let Call::Draw(_) = call {
                // The block that draws, and one to know it.
                self.stage.blocks(2).await?;
            }
            hands.must(call).await?;
        }
        let reached = self.state(id).await?;
        anyhow::ensure!(reached == state, "expected {state:?}, got {reached:?}");
        Ok(id)
    }

    /// How far an agreement came.
    pub async fn agreement(&self, id: AgreementId) -> anyhow::Result<AgreementSummary> {
        let found = self.buyer.chain.agreement_at_depth(id, 0).await?;
        found.context("there is no such agreement")
    }

    /// Its state.
    pub async fn state(&self, id: AgreementId) -> anyhow::Result<State> {
        Ok(self.agreement(id).await?.state)
    }

    /// The true proof of a shard, bound to an agreement on this chain and to this seller.
    pub fn attest(
        &self,
        set: &TestSet,
        id: AgreementId,
        index: u32,
    ) -> anyhow::Result<Attestation> {
        self.attest_for(set, index, self.context(id, index))
    }

    /// What binds a proof.
    pub fn context(&self, id: AgreementId, index: u32) -> ProofContext {
        let chain = &self.seller.chain;
        let (chain_id, escrow) = (chain.chain_id(), chain.contracts().escrow);
        let seller = chain.account();
        ProofContext(proof_context(chain_id, escrow, id, index, seller))
    }

    /// The same, bound to whatever is said.
    pub fn attest_for(
        &self,
        set: &TestSet,
        index: u32,
        context: ProofContext,
    ) -> anyhow::Result<Attestation> {
        let whose = (&self.model.network, &self.model.committed);
        self.prove(whose, set, index, context)
    }

    /// Proves how any committed network of the architecture does on a shard.
    pub fn prove(
        &self,
        whose: (&Network, &CommittedModel),
        set: &TestSet,
        index: u32,
        context: ProofContext,
    ) -> anyhow::Result<Attestation> {
        let opening = set.openings.get(index as usize).context("no such shard")?;
        let shard = set.committed.get(index as usize).context("no such shard")?;
        let rng = StdRng::from_entropy();
        let samples = opening.samples();
        Ok(self
            .prover
            .prove(whose, (&samples, shard), context, rng, |_| {})?)
    }

    /// The proof as it goes to the chain.
    pub fn shard_proof(
        &self,
        set: &TestSet,
        id: AgreementId,
        index: u32,
        attestation: &Attestation,
    ) -> anyhow::Result<ShardProof> {
        Ok(ShardProof {
            id,
            shard: shard_claim(index, attestation).count,
            model_points: model_points(&attestation.model),
            shard_points: shard_points(&attestation.shard),
            path: set.tree.path(index)?,
            proof: Data(attestation.proof.clone()),
        })
    }

    /// Claims what these leaves add up to.
    pub async fn claim(
        &self,
        id: AgreementId,
        leaves: Vec<ShardClaim>,
    ) -> anyhow::Result<ClaimTree> {
        let tree = ClaimTree::new(leaves)?;
        let sums = tree.top().sums;
        let call = Call::Claim {
            id,
            node: tree.top().hash,
            top1: sums.top1.try_into()?,
            topk: sums.topk.try_into()?,
        };
        self.seller.must(call).await?;
        Ok(tree)
    }

    /// Ends an agreement whose deadline passed and pays everybody out: what seller and buyer got.
    pub async fn expire(&self, id: AgreementId) -> anyhow::Result<(u128, u128)> {
        let deadline = self.agreement(id).await?.deadline;
        let now = self.buyer.chain.head().await?.time;
        self.stage.pass(deadline.saturating_sub(now) + 1).await?;
        self.buyer.must(Call::Expire(id)).await?;
        self.paid().await
    }

    /// Pays everybody out: what seller and buyer got.
    pub async fn paid(&self) -> anyhow::Result<(u128, u128)> {
        let mut paid = [0, 0];
        for (hands, paid) in [&self.seller, &self.buyer].into_iter().zip(&mut paid) {
            let (account, token) = (hands.chain.account(), Address::ZERO);
            *paid = hands.chain.credit(account, token).await?.0;
            if *paid > 0 {
                hands.must(Call::Withdraw { token }).await?;
            }
        }
        Ok((paid[0], paid[1]))
    }
}

/// The bond locked.
pub fn accept(id: AgreementId) -> Call {
    Call::Accept {
        id,
        value: Amount(BOND),
    }
}

/// A shard contested.
pub fn contest(id: AgreementId, index: u32) -> Call {
    Call::Contest {
        id,
        index,
        value: Amount(CONTEST_FEE),
    }
}

/// A leaf with another count than was proven.
pub fn inflated(mut leaf: ShardClaim, by: u32) -> ShardClaim {
    leaf.count.top1 += by;
    leaf.count.topk = leaf.count.topk.max(leaf.count.top1);
    leaf
}

/// A leaf of a proof that is nowhere.
pub fn invented(leaf: &ShardClaim) -> ShardClaim {
    let mut leaf = *leaf;
    leaf.proof = Hash::ZERO;
    leaf
}

/// As the circuit takes it.
pub fn sample((pixels, label): &Labelled) -> Sample {
    Sample {
        pixels: pixels.clone(),
        label: u16::from(*label),
    }
}

/// A network committed to, but nowhere registered.
pub fn commit_model(lab: &Lab, network: &Network) -> anyhow::Result<CommittedModel> {
    let seed = Seed::random(&mut StdRng::seed_from_u64(9));
    let model = CommittedModel::new(lab.prover.layout(), network, &seed, lab.prover.srs());
    Ok(model?)
}
