//! `contracts/agreement.json`, played by the agreement's rules.

use std::collections::BTreeMap;

use zknode_protocol::{
    agreement::{
        step, Action, Agreement, Effect, Event, Metric, Mode, State, Terms, KNOWN_BLOCKS, NOBODY,
    },
    deal::Moment,
    digest::keccak,
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::{
    game::{
        Game, Moves,
        Turn::{self, At, Blocks, Deadline, Do},
        Variant, FIRST, MODEL, SECOND, STRANGER,
    },
    shards::Shards,
};

/// All right but two (passed) or three (failed) answers of the first.
fn shards(variant: &Variant) -> Shards {
    let wrong = if variant.is("passed") { 2 } else { 3 };
    Shards::new([(4, 4 - wrong), (4, 4), (2, 2)])
}

fn terms(variant: &Variant) -> Terms {
    Terms {
        model: ModelId(Bytes([9; 32])),
        dataset_root: shards(variant).root(),
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

impl Game for Agreement {
    const TABLE: &'static str = include_str!("../../../contracts/agreement.json");
    type Action = Action;

    /// Nobody brings a signature.
    fn action(variant: &Variant, event: &str, index: u32) -> Action {
        match event {
            "open" => Action::Open {
                terms: terms(variant),
                model: Some(MODEL),
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
            "claim" => {
                let top = shards(variant).top();
                Action::Claim {
                    node: top.hash,
                    top1: top.sums.top1 as u32,
                    topk: top.sums.topk as u32,
                }
            }
            "approve" => Action::Approve { signer: None },
            "contest" => Action::Contest {
                index,
                value: Amount(40),
            },
            "answer" => Action::Answer {
                shard: shards(variant).facts(index),
                proof: Hash::ZERO,
                path: shards(variant).path(index),
            },
            "proveShard" => Action::ProveShard(shards(variant).facts(index)),
            "expire" => Action::Expire,
            other => panic!("{other}"),
        }
    }

    fn step(
        before: Option<&Self>,
        by: Address,
        action: Action,
        now: Moment,
    ) -> Option<(Self, Moves)> {
        let (after, effects) = step(before, &Event { by, action }, now).ok()?;
        let mut moves = Moves::default();
        for effect in effects {
            match effect {
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
        Some((after, moves))
    }

    fn place(&self) -> (String, u64) {
        (format!("{:?}", self.state), self.deadline)
    }

    fn contest_by(&self) -> u64 {
        self.window_end
    }

    fn draw_missed(&self) -> Option<u64> {
        let accepted = self.state == State::Accepted;
        accepted.then(|| self.draw_block + KNOWN_BLOCKS + 1)
    }

    fn owed(&self) -> u32 {
        self.unanswered().count() as u32
    }

    fn amounts(_: &Variant, owed: u32) -> BTreeMap<&'static str, i128> {
        BTreeMap::from([
            ("price", 1_000),
            ("buyerBond", 100),
            ("bond", 500),
            ("penalty", 200),
            ("previewFee", 50),
            ("contestFee", 40),
            ("contestFees", 40 * i128::from(owed)),
        ])
    }

    fn reach(variant: &Variant, state: &str) -> Option<Vec<Turn>> {
        let (preview, eager) = (variant.is("preview"), variant.is("eager"));
        let window = variant.is("window");
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
            "Delivered" if eager && variant.is("last") => then(delivered, &[proof(1), proof(2)]),
            "Delivered" => delivered,
            "Claimed" if !eager => claimed,
            "Contested" if !eager && variant.is("last") => then(in_window, &[contest(0)]),
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
