//! `contracts/agreement.json`, played by the agreement's rules.

use std::collections::BTreeMap;

use zknode_protocol::{
    agreement::{
        step, Action, Agreement, Effect, Event, Metric, Mode, State, Terms, KNOWN_BLOCKS, NOBODY,
    },
    claim_tree::{ClaimTree, ShardClaim, ShardCount},
    dataset_root::{DatasetTree, ShardLeaf},
    deal::{ModelFacts, Moment},
    digest::keccak,
    shards::{ShardFacts, Verdict},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::game::{
    Game, Moves,
    Turn::{self, At, Blocks, Deadline, Do},
    Variant, FIRST, SECOND, STRANGER,
};

const VALID: [u32; 3] = [4, 4, 2];

pub struct AgreementGame(Variant);

impl Game for AgreementGame {
    const TABLE: &'static str = include_str!("../../../contracts/agreement.json");
    type Record = Agreement;

    fn new(variant: Variant) -> Self {
        Self(variant)
    }

    fn step(
        &self,
        before: Option<&Agreement>,
        event: &str,
        by: Address,
        index: u32,
        now: Moment,
    ) -> Option<(Agreement, Moves)> {
        let action = action(event, &self.0, index);
        let (after, effects) = step(before, &Event { by, action }, now).ok()?;
        Some((after, moves(&effects)))
    }

    fn place(record: &Agreement) -> (String, u64) {
        (format!("{:?}", record.state), record.deadline)
    }

    fn window_end(record: &Agreement) -> u64 {
        record.window_end
    }

    fn draw_missed(record: &Agreement) -> Option<u64> {
        let accepted = record.state == State::Accepted;
        accepted.then(|| record.draw_block + KNOWN_BLOCKS + 1)
    }

    fn unanswered(record: &Agreement) -> u32 {
        record.unanswered().count() as u32
    }

    fn amounts(&self, unanswered: u32) -> BTreeMap<&'static str, i128> {
        BTreeMap::from([
            ("price", 1_000),
            ("buyerBond", 100),
            ("bond", 500),
            ("penalty", 200),
            ("previewFee", 50),
            ("contestFee", 40),
            ("contestFees", 40 * i128::from(unanswered)),
        ])
    }

    fn reach(&self, state: &str) -> Option<Vec<Turn>> {
        let (preview, eager) = (self.0.is("preview"), self.0.is("eager"));
        let window = self.0.is("window");
        // Past its window, and its deadline is still to come: so only what is contested.
        if !window && state != "Contested" {
            return None;
        }
        let open = vec![Do("open", FIRST, 0)];
        let then = |mut road: Vec<Turn>, more: &[Turn]| {
            road.extend(more);
            road
        };
        let accepted = then(open.clone(), &[Do("accept", SECOND, 0), Blocks]);
        let drawn = then(accepted.clone(), &[Do("draw", STRANGER, 0)]);
        let previewed = match preview {
            true => then(drawn.clone(), &[Do("proceed", SECOND, 0)]),
            false => accepted.clone(),
        };
        let sent = then(previewed.clone(), &[Do("send", FIRST, 0)]);
        let delivered = then(previewed.clone(), &[Do("acknowledge", SECOND, 0)]);
        let claimed = then(delivered.clone(), &[Do("claim", SECOND, 0)]);
        let proof = |index| Do("proveShard", STRANGER, index);
        let contest = |index| Do("contest", FIRST, index);
        let in_window = match window {
            true => claimed.clone(),
            false => then(claimed.clone(), &[Deadline(0)]),
        };
        let some = match state {
            "Open" => open,
            "Accepted" if preview => accepted,
            "Drawn" if preview => drawn,
            "PreviewSent" if preview => then(drawn, &[Do("send", FIRST, 0)]),
            "Previewed" => previewed,
            "RestSent" => sent,
            "Delivered" if eager && self.0.is("last") => then(delivered, &[proof(1), proof(2)]),
            "Delivered" => delivered,
            "Claimed" if !eager => claimed,
            "Contested" if !eager && self.0.is("last") => then(in_window, &[contest(0)]),
            "Contested" if !eager => then(in_window, &[contest(0), contest(1)]),
            "Cancelled" => then(open, &[Do("cancel", FIRST, 0)]),
            "Declined" => then(previewed, &[Do("decline", SECOND, 0)]),
            "Denied" => then(sent, &[Do("deny", SECOND, 0)]),
            "Forfeited" => then(previewed, &[At(3_001), Do("expire", STRANGER, 0)]),
            "Settled" if eager => then(delivered, &[proof(0), proof(1), proof(2)]),
            "Settled" => then(claimed, &[Do("approve", FIRST, 0)]),
            "Slashed" => then(delivered, &[At(4_001), Do("expire", STRANGER, 0)]),
            _ => return None,
        };
        Some(some)
    }
}

fn moves(effects: &[Effect]) -> Moves {
    let mut moves = Moves::default();
    for effect in effects {
        match *effect {
            Effect::Deposit { amount, .. } => moves.deposit += amount.0 as i128,
            Effect::Credit { to, amount, .. } => {
                let credit = match to {
                    FIRST => &mut moves.first,
                    SECOND => &mut moves.second,
                    NOBODY => &mut moves.nobody,
                    other => panic!("{other} is paid"),
                };
                *credit += amount.0 as i128;
            }
        }
    }
    moves
}

fn dataset() -> DatasetTree {
    let leaf =
        |(index, valid): (u32, u32)| ShardLeaf::new(index, valid, &[Bytes([index as u8; 64])]);
    DatasetTree::new((0..).zip(VALID).map(leaf).collect()).unwrap()
}

fn terms(variant: &Variant) -> Terms {
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
        mode: if variant.is("eager") {
            Mode::Eager
        } else {
            Mode::Optimistic
        },
        preview_shards: if variant.is("preview") { 2 } else { 0 },
        response_time: 100,
        window: 500,
        prove_time: 300,
    }
}

/// All right but two (passed) or three (failed) answers of the first shard.
fn count(variant: &Variant, index: u32) -> ShardCount {
    let valid = VALID[index as usize];
    let wrong = match index {
        0 if variant.is("passed") => 2,
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

fn claim(variant: &Variant) -> ClaimTree {
    let leaf = |index| ShardClaim {
        count: count(variant, index),
        proof: Hash::ZERO,
    };
    ClaimTree::new((0..3).map(leaf).collect()).unwrap()
}

fn facts(variant: &Variant, index: u32) -> ShardFacts {
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
fn action(event: &str, variant: &Variant, index: u32) -> Action {
    let tree = claim(variant);
    match event {
        "open" => Action::Open {
            terms: terms(variant),
            model: Some(ModelFacts {
                seller: SECOND,
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
