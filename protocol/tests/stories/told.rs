//! What a story looks like, and how it is judged.

use std::collections::BTreeMap;

use serde::{de::DeserializeOwned, Deserialize};
use zknode_protocol::{
    agreement::NOBODY,
    claim_tree::{ClaimTree, ShardClaim, ShardCount},
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
pub struct Story<T> {
    pub name: String,
    pub model: Model,
    pub terms: T,
    #[serde(default)]
    pub dataset: Vec<u32>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    registered: bool,
    registered_block: u64,
    retires_at: u64,
}

impl Model {
    pub fn facts(&self) -> Option<ModelFacts> {
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

/// One kind of deal, before and after each event.
pub trait Stage: Sized {
    const PARTIES: [&'static str; 2];
    type Terms: DeserializeOwned;

    fn new(story: &Story<Self::Terms>) -> Self;

    /// `signer`: who signed, if anybody did. What is moved, or the name of the rule that refuses.
    fn run(
        &mut self,
        by: Address,
        event: &str,
        args: &Args,
        signer: Option<Address>,
        now: Moment,
    ) -> Result<Moves, String>;

    /// `None` before it is opened.
    fn state(&self) -> Option<String>;
}

fn party<S: Stage>(name: &str) -> Address {
    match name {
        name if name == S::PARTIES[0] => FIRST,
        name if name == S::PARTIES[1] => SECOND,
        "stranger" => STRANGER,
        "nobody" => NOBODY,
        other => panic!("{other}"),
    }
}

/// Every story ends as told; there are as many as `machine`, the table as numbers, says.
pub fn judge<S: Stage>(stories: &str, machine: &str) {
    let machine: serde_json::Value = serde_json::from_str(machine).unwrap();
    assert_eq!(machine["stories"], stories.lines().count());
    for line in stories.lines() {
        let story: Story<S::Terms> = serde_json::from_str(line).unwrap();
        let mut stage = S::new(&story);
        let mut credits: BTreeMap<Address, i128> = BTreeMap::new();
        for (number, told) in story.steps.iter().enumerate() {
            let place = format!(
                "{}, step {number} ({} by {})",
                story.name, told.event, told.actor
            );
            let by = party::<S>(&told.actor);
            let before = credits.clone();
            let outcome = match told.event.as_str() {
                "withdraw" => match credits.remove(&by).unwrap_or_default() {
                    0 => Err("NothingToWithdraw".to_owned()),
                    credit => Ok(credit),
                },
                event => {
                    let signer = Some(told.args.signer.as_str()).filter(|name| !name.is_empty());
                    let signer = signer.map(party::<S>);
                    let (block, time) = (told.block, told.time);
                    let now = Moment { block, time };
                    let outcome = stage.run(by, event, &told.args, signer, now);
                    outcome.map(|moves| {
                        for (whom, amount) in moves.credits {
                            *credits.entry(whom).or_default() += amount as i128;
                        }
                        -(moves.deposit as i128)
                    })
                }
            };
            let error = outcome.as_ref().err().cloned().unwrap_or_default();
            assert_eq!(error, told.expect.error, "{place}");
            let state = stage.state().unwrap_or_else(|| "None".into());
            assert_eq!(state, told.expect.state, "{place}");
            let wallet_of_sender = outcome.unwrap_or_default();
            for (name, expected) in &told.deltas {
                let who = party::<S>(name);
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

/// The shards under a dataset root.
pub struct Shards(pub DatasetTree);

impl Shards {
    pub fn new(valid: &[u32]) -> Self {
        let leaf =
            |(index, valid): (u32, &u32)| ShardLeaf::new(index, *valid, &shard_points(index));
        Self(DatasetTree::new((0..).zip(valid).map(leaf).collect()).unwrap())
    }

    /// Every shard with the counts of a claim; the proofs differ where the verifier rejects them.
    pub fn claim(&self, args: &Args) -> Vec<ShardClaim> {
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
        counts.zip(self.0.leaves()).map(leaf).collect()
    }

    /// What is claimed of a shard, or nothing where there is no such shard; with the claim.
    pub fn answer(&self, args: &Args) -> (ShardClaim, ClaimTree) {
        let leaves = self.claim(args);
        let nothing = ShardClaim {
            count: ShardCount {
                index: args.index,
                valid: 0,
                top1: 0,
                topk: 0,
            },
            proof: Hash::ZERO,
        };
        let leaf = leaves.get(args.index as usize).copied();
        (leaf.unwrap_or(nothing), ClaimTree::new(leaves).unwrap())
    }

    pub fn facts(&self, shard: ShardCount, accepted: bool) -> ShardFacts {
        ShardFacts {
            shard,
            registered_points: Hash::ZERO,
            model_points: Hash::ZERO,
            registered_length: 1,
            length: 1,
            shard_points: points_digest(&shard_points(shard.index)),
            path: self.0.path(shard.index).unwrap_or_default(),
            verdict: match accepted {
                true => Verdict::Accepted,
                false => Verdict::Rejected,
            },
        }
    }
}
