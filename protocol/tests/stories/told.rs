//! What a story looks like, and how it is judged.

use std::collections::BTreeMap;

use serde::{de::DeserializeOwned, Deserialize};
use zknode_protocol::{
    agreement::NOBODY,
    claim_tree::{ClaimTree, ShardClaim, ShardCount, SumNode},
    dataset_root::{DatasetTree, ShardLeaf},
    deal::{ModelFacts, Moment},
    digest::{keccak, points_digest},
    shards::{ShardFacts, Verdict},
    value::{Address, Bytes, Hash, Point},
};

pub const FIRST: Address = Bytes([1; 20]);
pub const SECOND: Address = Bytes([2; 20]);
const STRANGER: Address = Bytes([3; 20]);

#[derive(Deserialize)]
struct Story<T> {
    name: String,
    model: Model,
    terms: T,
    #[serde(default)]
    dataset: Vec<u32>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    registered: bool,
    registered_block: u64,
    retires_at: u64,
}

impl Model {
    fn facts(&self) -> Option<ModelFacts> {
        self.registered.then_some(ModelFacts {
            seller: SECOND,
            registered_block: self.registered_block,
            retires_at: self.retires_at,
            points: Hash::ZERO,
            shard_points: 1,
        })
    }
}

#[derive(Deserialize)]
struct Step {
    time: u64,
    block: u64,
    actor: String,
    event: String,
    args: Args,
    expect: Expectation,
    deltas: BTreeMap<String, Money>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Args {
    pub value: u128,
    signer: String,
    pub index: u32,
    pub valid: u32,
    pub top1: u32,
    pub topk: u32,
    pub accepted: bool,
    pub counts: Vec<[u32; 2]>,
    pub rejected: Vec<u32>,
    pub count: u32,
    pub points: u8,
}

#[derive(Deserialize)]
struct Expectation {
    state: String,
    error: String,
}

#[derive(Deserialize, Debug, Clone, Copy, Default, PartialEq)]
struct Money {
    wallet: i128,
    credit: i128,
}

/// What an event moves: into the contract, and to the credit of whom.
pub struct Moves {
    pub deposit: u128,
    pub credits: Vec<(Address, u128)>,
}

/// What a story of it is told about.
pub struct Stage<D: Deal> {
    pub terms: D::Terms,
    pub model: Option<ModelFacts>,
    pub shards: Shards,
}

/// One kind of deal, as the rules keep it.
pub trait Deal: Sized {
    const PARTIES: [&'static str; 2];
    /// The terms as a story tells them.
    type Told: DeserializeOwned;
    type Terms;
    type Action;

    fn terms(told: &Self::Told, shards: &Shards) -> Self::Terms;

    /// `signer`: who signed, if anybody did.
    fn action(
        stage: &Stage<Self>,
        event: &str,
        args: &Args,
        signer: Option<Address>,
    ) -> Self::Action;

    /// The deal after an action and what is moved, or the name of the rule that refuses it.
    fn step(
        before: Option<&Self>,
        by: Address,
        action: Self::Action,
        now: Moment,
    ) -> Result<(Self, Moves), String>;

    fn state(&self) -> String;
}

fn party<D: Deal>(name: &str) -> Address {
    match name {
        name if name == D::PARTIES[0] => FIRST,
        name if name == D::PARTIES[1] => SECOND,
        "stranger" => STRANGER,
        "nobody" => NOBODY,
        other => panic!("{other}"),
    }
}

/// Every story ends as told; there are as many as `machine`, the table as numbers, says.
pub fn judge<D: Deal>(stories: &str, machine: &str) {
    let machine: serde_json::Value = serde_json::from_str(machine).unwrap();
    assert_eq!(machine["stories"], stories.lines().count());
    for line in stories.lines() {
        let story: Story<D::Told> = serde_json::from_str(line).unwrap();
        let shards = Shards::new(&story.dataset);
        let stage = Stage {
            terms: D::terms(&story.terms, &shards),
            model: story.model.facts(),
            shards,
        };
        let mut deal: Option<D> = None;
        let mut credits: BTreeMap<Address, i128> = BTreeMap::new();
        for (number, told) in story.steps.iter().enumerate() {
            let place = format!(
                "{}, step {number} ({} by {})",
                story.name, told.event, told.actor
            );
            let by = party::<D>(&told.actor);
            let before = credits.clone();
            let outcome = match told.event.as_str() {
                "withdraw" => match credits.remove(&by).unwrap_or_default() {
                    0 => Err("NothingToWithdraw".to_owned()),
                    credit => Ok(credit),
                },
                event => {
                    let signer = Some(told.args.signer.as_str()).filter(|name| !name.is_empty());
                    let signer = signer.map(party::<D>);
                    let (block, time) = (told.block, told.time);
                    let now = Moment { block, time };
                    let action = D::action(&stage, event, &told.args, signer);
                    D::step(deal.as_ref(), by, action, now).map(|(after, moves)| {
                        deal = Some(after);
                        for (whom, amount) in moves.credits {
                            *credits.entry(whom).or_default() += amount as i128;
                        }
                        -(moves.deposit as i128)
                    })
                }
            };
            let error = outcome.as_ref().err().cloned().unwrap_or_default();
            assert_eq!(error, told.expect.error, "{place}");
            let state = deal.as_ref().map_or("None".into(), D::state);
            assert_eq!(state, told.expect.state, "{place}");
            let wallet_of_sender = outcome.unwrap_or_default();
            for (name, expected) in &told.deltas {
                let who = party::<D>(name);
                let credit = |book: &BTreeMap<Address, i128>| *book.get(&who).unwrap_or(&0);
                let found = Money {
                    wallet: if who == by { wallet_of_sender } else { 0 },
                    credit: credit(&credits) - credit(&before),
                };
                assert_eq!(found, *expected, "{place}: money of {name}");
            }
        }
    }
}

fn shard_points(index: u32) -> Vec<Point> {
    let half = keccak(&index.to_be_bytes()).0;
    vec![Bytes(half.repeat(2).try_into().unwrap())]
}

/// The shards under a dataset root; of a round, none.
pub struct Shards(Vec<ShardLeaf>);

impl Shards {
    fn new(valid: &[u32]) -> Self {
        let leaf =
            |(index, valid): (u32, &u32)| ShardLeaf::new(index, *valid, &shard_points(index));
        Self((0..).zip(valid).map(leaf).collect())
    }

    fn tree(&self) -> DatasetTree {
        DatasetTree::new(self.0.clone()).unwrap()
    }

    pub fn root(&self) -> Hash {
        self.tree().root()
    }

    /// Over every shard with the counts of a claim; the proofs differ where the verifier rejects them.
    pub fn claim(&self, args: &Args) -> ClaimTree {
        let leaf = |((index, [top1, topk]), shard): ((u32, &[u32; 2]), &ShardLeaf)| ShardClaim {
            count: ShardCount {
                index,
                valid: shard.valid,
                top1: *top1,
                topk: *topk,
            },
            proof: keccak(&[u8::from(args.rejected.contains(&index))]),
        };
        let counts = (0..).zip(&args.counts);
        ClaimTree::new(counts.zip(&self.0).map(leaf).collect()).unwrap()
    }

    /// What is claimed of a shard with its proof and the way up the claim, or nothing where there is no such shard.
    pub fn answer(&self, args: &Args) -> (ShardFacts, Hash, Vec<SumNode>) {
        let tree = self.claim(args);
        let index = args.index;
        let nothing = ShardClaim {
            count: ShardCount {
                index,
                valid: 0,
                top1: 0,
                topk: 0,
            },
            proof: Hash::ZERO,
        };
        let leaf = tree.leaves().get(index as usize).copied();
        let leaf = leaf.unwrap_or(nothing);
        let facts = self.facts(leaf.count, !args.rejected.contains(&index));
        (facts, leaf.proof, tree.path(index).unwrap_or_default())
    }

    pub fn facts(&self, shard: ShardCount, accepted: bool) -> ShardFacts {
        ShardFacts {
            shard,
            registered_points: Hash::ZERO,
            model_points: Hash::ZERO,
            registered_length: 1,
            length: 1,
            shard_points: points_digest(&shard_points(shard.index)),
            path: self.tree().path(shard.index).unwrap_or_default(),
            verdict: match accepted {
                true => Verdict::Accepted,
                false => Verdict::Rejected,
            },
        }
    }
}
