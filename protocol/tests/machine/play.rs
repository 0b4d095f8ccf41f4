//! Each event in each state by each party, in the last second and one later, under all conditions: the rules allow
//! what the table has a row for, with its effect, and refuse everything else.

use std::collections::BTreeMap;

use zknode_protocol::{
    agreement::{
        step, Action, Agreement, Effect, Event, Metric, Mode, ModelFacts, Moment, RuleError,
        ShardCount, ShardFacts, State, Terms, Verdict, NOBODY,
    },
    claim_tree::{ClaimTree, ShardClaim},
    dataset_root::{DatasetTree, ShardLeaf},
    digest::keccak,
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::table::{sum, table, Row, Table};

pub const BUYER: Address = Bytes([1; 20]);
pub const SELLER: Address = Bytes([2; 20]);
pub const STRANGER: Address = Bytes([3; 20]);
const VALID: [u32; 3] = [4, 4, 2];

/// Which conditions of the table hold.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub preview: bool,
    pub eager: bool,
    pub last: bool,
    pub passed: bool,
}

impl Variant {
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16).map(|bits: u8| Self {
            preview: bits & 1 != 0,
            eager: bits & 2 != 0,
            last: bits & 4 != 0,
            passed: bits & 8 != 0,
        })
    }

    pub fn holds(&self, table: &Table, condition: &str) -> bool {
        let truth = |name: &str| match name {
            "preview" => self.preview,
            "eager" => self.eager,
            "last" => self.last,
            "passed" => self.passed,
            other => panic!("{other}"),
        };
        match table.negations.get(condition) {
            Some(name) => !truth(name),
            None => truth(condition),
        }
    }
}

fn dataset() -> DatasetTree {
    let leaf =
        |(index, valid): (u32, u32)| ShardLeaf::new(index, valid, &[Bytes([index as u8; 64])]);
    DatasetTree::new((0..).zip(VALID).map(leaf).collect()).unwrap()
}

pub fn terms(variant: Variant) -> Terms {
    Terms {
        model: ModelId(Bytes([9; 32])),
        dataset_root: dataset().root(),
        token: Address::ZERO,
        shards: 3,
        samples: 10,
        threshold: 8,
        price: Amount(1_000),
        buyer_bond: Amount(100),
        bond: Amount(500),
        penalty: Amount(200),
        preview_fee: Amount(50),
        contest_fee: Amount(40),
        accept_by: 2_000,
        preview_by: 2_400,
        deliver_by: 3_000,
        claim_by: 4_000,
        metric: Metric::Top1,
        mode: if variant.eager {
            Mode::Eager
        } else {
            Mode::Optimistic
        },
        preview_shards: if variant.preview { 2 } else { 0 },
        response_time: 100,
        window: 500,
        prove_time: 300,
    }
}

pub fn amounts(contests: i128) -> BTreeMap<&'static str, i128> {
    BTreeMap::from([
        ("price", 1_000),
        ("buyerBond", 100),
        ("bond", 500),
        ("penalty", 200),
        ("previewFee", 50),
        ("contestFee", 40),
        ("contestFees", 40 * contests),
    ])
}

/// All right but two (passed) or three (failed) answers of the first shard.
fn count(variant: Variant, index: u32) -> ShardCount {
    let valid = VALID[index as usize];
    let wrong = match index {
        0 if variant.passed => 2,
        0 => 3,
        _ => 0,
    };
    ShardCount {
        index,
        valid,
        top1: valid - wrong,
        topk: valid,
    }
}

fn claim(variant: Variant) -> ClaimTree {
    let leaf = |index| ShardClaim {
        count: count(variant, index),
        proof: Hash::ZERO,
    };
    ClaimTree::new((0..3).map(leaf).collect()).unwrap()
}

fn facts(variant: Variant, index: u32) -> ShardFacts {
    let tree = dataset();
    ShardFacts {
        shard: count(variant, index),
        registered_points: Hash::ZERO,
        model_points: Hash::ZERO,
        registered_length: 1,
        length: 1,
        shard_points: tree.leaves()[index as usize].points,
        path: tree.path(index).unwrap(),
        verdict: Verdict::Accepted,
    }
}

/// The action as whoever is entitled would send it; nobody brings a signature. `index` is the shard it is about.
pub fn action(event: &str, variant: Variant, index: u32) -> Action {
    let tree = claim(variant);
    match event {
        "open" => Action::Open {
            terms: terms(variant),
            model: Some(ModelFacts {
                seller: SELLER,
                registered_block: 10,
                retires_at: 0,
                points: Hash::ZERO,
                shard_points: 1,
            }),
            token_has_code: false,
            value: Amount(1_100),
        },
        "cancel" => Action::Cancel,
        "accept" => Action::Accept { value: Amount(500) },
        "draw" => Action::Draw {
            seed: keccak(b"seed"),
        },
        "send" => Action::Send,
        "proceed" => Action::Proceed { signer: None },
        "acknowledge" => Action::Acknowledge {
            ciphertext: keccak(b"ciphertext"),
            signer: None,
        },
        "decline" => Action::Decline,
        "deny" => Action::Deny,
        "claim" => Action::Claim {
            node: tree.top().hash,
            top1: tree.top().sums.top1 as u32,
            topk: tree.top().sums.topk as u32,
        },
        "approve" => Action::Approve { signer: None },
        "contest" => Action::Contest {
            index,
            value: Amount(40),
        },
        "answer" => Action::Answer {
            shard: facts(variant, index),
            proof: Hash::ZERO,
            path: tree.path(index).unwrap(),
        },
        "proveShard" => Action::ProveShard(facts(variant, index)),
        "expire" => Action::Expire,
        other => panic!("{other}"),
    }
}

const START: Moment = Moment {
    block: 11,
    time: 1_000,
};

struct Story {
    variant: Variant,
    now: Moment,
    agreement: Option<Agreement>,
}

impl Story {
    fn then(mut self, event: &str, by: Address, index: u32) -> Self {
        let action = action(event, self.variant, index);
        let done = step(self.agreement.as_ref(), &Event { by, action }, self.now);
        self.agreement = Some(done.unwrap().0);
        self
    }

    fn at(mut self, time: u64) -> Self {
        self.now.time = time;
        self
    }
}

/// An agreement in `state`, or `None` where this variant never is.
pub fn reach(state: State, variant: Variant) -> Option<(Agreement, Moment)> {
    let story = Story {
        variant,
        now: START,
        agreement: None,
    };
    let open = story.then("open", BUYER, 0);
    let accepted = |story: Story| {
        let mut story = story.then("accept", SELLER, 0);
        story.now.block += 2;
        story
    };
    let previewed = |story: Story| {
        let story = accepted(story);
        match variant.preview {
            true => story.then("draw", STRANGER, 0).then("proceed", SELLER, 0),
            false => story,
        }
    };
    let delivered = |story: Story| previewed(story).then("acknowledge", SELLER, 0);
    let story = match state {
        State::Open => open,
        State::Accepted if variant.preview => accepted(open),
        State::Drawn if variant.preview => accepted(open).then("draw", STRANGER, 0),
        State::PreviewSent if variant.preview => accepted(open)
            .then("draw", STRANGER, 0)
            .then("send", BUYER, 0),
        State::Accepted | State::Drawn | State::PreviewSent => return None,
        State::Previewed => previewed(open),
        State::RestSent => previewed(open).then("send", BUYER, 0),
        State::Delivered if variant.eager && variant.last => delivered(open)
            .then("proveShard", STRANGER, 1)
            .then("proveShard", STRANGER, 2),
        State::Delivered => delivered(open),
        State::Claimed | State::Contested if variant.eager => return None,
        State::Claimed => delivered(open).then("claim", SELLER, 0),
        State::Contested => {
            let contested = delivered(open)
                .then("claim", SELLER, 0)
                .then("contest", BUYER, 0);
            match variant.last {
                true => contested,
                false => contested.then("contest", BUYER, 1),
            }
        }
        State::Cancelled => open.then("cancel", BUYER, 0),
        State::Declined => previewed(open).then("decline", SELLER, 0),
        State::Denied => previewed(open)
            .then("send", BUYER, 0)
            .then("deny", SELLER, 0),
        State::Forfeited => previewed(open).at(3_001).then("expire", STRANGER, 0),
        State::Settled if variant.eager => (0..3).fold(delivered(open), |story, index| {
            story.then("proveShard", STRANGER, index)
        }),
        State::Settled => delivered(open)
            .then("claim", SELLER, 0)
            .then("approve", BUYER, 0),
        State::Slashed => delivered(open).at(4_001).then("expire", STRANGER, 0),
    };
    Some((story.agreement.unwrap(), story.now))
}

fn matching<'a>(
    table: &'a Table,
    state: &str,
    event: &str,
    by: Address,
    late: bool,
    variant: Variant,
) -> Option<&'a Row> {
    let rows = table.transitions.iter().filter(|row| {
        row.from == state
            && row.event == event
            && match row.by.as_str() {
                "buyer" => by == BUYER,
                "seller" => by == SELLER,
                _ => true,
            }
            && match row.when.as_str() {
                "until" => !late,
                "after" => late,
                _ => true,
            }
            && row
                .conditions
                .iter()
                .all(|condition| variant.holds(table, condition))
    });
    let mut rows = rows.collect::<Vec<_>>();
    assert!(rows.len() <= 1, "{state} {event}: {} rows", rows.len());
    rows.pop()
}

fn moved(effects: &[Effect], to: Option<Address>) -> i128 {
    let amounts = effects.iter().map(|effect| match (effect, to) {
        (Effect::Deposit { amount, .. }, None) => amount.0,
        (
            Effect::Credit {
                to: whom, amount, ..
            },
            Some(to),
        ) if *whom == to => amount.0,
        _ => 0,
    });
    amounts.sum::<u128>() as i128
}

#[test]
fn the_rules_are_the_table() {
    let table = table();
    let (mut allowed, mut refused) = (0, 0);
    for variant in Variant::all() {
        for state in State::ALL {
            let Some((agreement, reached)) = reach(state, variant) else {
                continue;
            };
            for late in [false, true] {
                for (by, event) in [BUYER, SELLER, STRANGER]
                    .into_iter()
                    .flat_map(|by| table.events.iter().skip(1).map(move |event| (by, event)))
                {
                    let deadline = if state.is_terminal() {
                        reached.time
                    } else {
                        agreement.deadline
                    };
                    let now = Moment {
                        block: reached.block,
                        time: deadline + u64::from(late),
                    };
                    let index = if event == "contest" { 2 } else { 0 };
                    let action = action(event, variant, index);
                    let outcome = step(Some(&agreement), &Event { by, action }, now);
                    let name = format!("{state:?}");
                    let place = format!("{variant:?}: {event} in {name} by {by}, late: {late}");
                    match matching(&table, &name, event, by, late, variant) {
                        Some(row) => {
                            allowed += 1;
                            let (after, effects) =
                                outcome.unwrap_or_else(|e| panic!("{place}: {e}"));
                            assert_eq!(format!("{:?}", after.state), row.to, "{place}");
                            let amounts = amounts(agreement.unanswered().count() as i128);
                            for (text, to) in [
                                (&row.money.deposit, None),
                                (&row.money.buyer, Some(BUYER)),
                                (&row.money.seller, Some(SELLER)),
                                (&row.money.nobody, Some(NOBODY)),
                            ] {
                                assert_eq!(moved(&effects, to), sum(text, &amounts), "{place}");
                            }
                        }
                        None => {
                            refused += 1;
                            assert!(outcome.is_err(), "{place}");
                        }
                    }
                }
            }
        }
    }
    assert!(allowed > 150 && refused > 5_000, "{allowed} {refused}");
}

#[test]
fn nothing_is_opened_twice() {
    for variant in Variant::all() {
        for state in State::ALL {
            let Some((agreement, now)) = reach(state, variant) else {
                continue;
            };
            let action = action("open", variant, 0);
            let outcome = step(Some(&agreement), &Event { by: BUYER, action }, now);
            assert_eq!(outcome, Err(RuleError::AgreementExists));
        }
    }
}
