//! Random stories of a round: whatever anybody does, the money that came in is locked or somebody's, and an end is an end.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{
    deal::{DealError, ModelFacts, Moment},
    value::Bytes,
};

const BUYER: Address = Bytes([1; 20]);
const SELLER: Address = Bytes([2; 20]);
const OTHER: Address = Bytes([3; 20]);
const START: Moment = Moment {
    block: 11,
    time: 1000,
};

fn terms() -> RoundTerms {
    RoundTerms {
        model: ModelId(Bytes([4; 32])),
        token: Address::ZERO,
        batches: 10,
        price: Amount(100),
        bond: Amount(5000),
        contest_fee: Amount(40),
        accept_by: 2000,
        serve_by: 3000,
        window: 500,
        prove_time: 300,
    }
}

fn model() -> ModelFacts {
    ModelFacts {
        seller: SELLER,
        registered_block: 10,
        retires_at: 0,
        points: Hash::ZERO,
        shard_points: 1,
    }
}

fn open_with(terms: RoundTerms, model: Option<ModelFacts>, value: u128) -> Event {
    Event {
        by: BUYER,
        action: Action::Open {
            terms,
            model,
            token_has_code: false,
            value: Amount(value),
        },
    }
}

fn at(time: u64) -> Moment {
    Moment { block: 12, time }
}

/// A round, told one event after the other.
struct Story {
    record: Option<Record>,
    paid_in: u128,
    buyer: u128,
    seller: u128,
}

impl Story {
    fn new() -> Self {
        let mut story = Self {
            record: None,
            paid_in: 0,
            buyer: 0,
            seller: 0,
        };
        let (opened, effects) =
            step(None, &open_with(terms(), Some(model()), 1000), START).unwrap();
        story.take(opened, effects);
        story
    }

    fn take(&mut self, record: Record, effects: Effects) {
        self.record = Some(record);
        self.paid_in += effects.deposit.0;
        self.buyer += effects.to_buyer.0;
        self.seller += effects.to_seller.0;
    }

    fn tell(&mut self, by: Address, action: Action, time: u64) -> Result<(), RoundError> {
        let event = Event { by, action };
        let (record, effects) = step(self.record.as_ref(), &event, at(time))?;
        self.take(record, effects);
        Ok(())
    }

    fn round(&self) -> &Round {
        &self.record.as_ref().unwrap().round
    }

    /// What the rules still hold: the deposits of a live round.
    fn locked(&self) -> u128 {
        let round = self.round();
        if round.state.is_terminal() {
            return 0;
        }
        let bond = match round.state {
            RoundState::Open => 0,
            _ => round.terms.bond.0,
        };
        let fees = round.terms.contest_fee.0 * u128::from(round.contests);
        round.terms.deposit().unwrap().0 + bond + fees
    }
}

fn prediction(index: u32, points: u8) -> Prediction {
    Prediction {
        index,
        valid: 3,
        points: Bytes([points; 32]),
    }
}

const ACCEPT: Action = Action::Accept {
    value: Amount(5000),
};

fn contest(index: u32, points: u8) -> Action {
    Action::Contest {
        prediction: prediction(index, points),
        signer: Some(SELLER),
        value: Amount(40),
    }
}

fn answer(index: u32, points: u8) -> Action {
    Action::Answer {
        prediction: prediction(index, points),
        accepted: true,
    }
}

fn close(count: u32) -> Action {
    Action::Close {
        count,
        signer: Some(BUYER),
    }
}

#[test]
fn paid_by_the_voucher_and_the_rest_comes_back() {
    let mut story = Story::new();
    story.tell(SELLER, ACCEPT, 1100).unwrap();
    story.tell(SELLER, close(7), 3000).unwrap();
    let early = story.tell(OTHER, Action::Expire, 3500);
    assert!(matches!(
        early,
        Err(RoundError::Deal(DealError::TooEarly { .. }))
    ));
    story.tell(OTHER, Action::Expire, 3501).unwrap();
    assert_eq!(story.round().state, RoundState::Settled);
    assert_eq!((story.buyer, story.seller), (300, 5700));
}

#[test]
fn a_contest_is_answered_or_costs_everything() {
    let mut story = Story::new();
    story.tell(SELLER, ACCEPT, 1100).unwrap();
    story.tell(SELLER, close(7), 1200).unwrap();
    story.tell(BUYER, contest(3, 0), 1300).unwrap();
    // A seller that signed two predictions for one batch answers for both.
    story.tell(BUYER, contest(3, 1), 1310).unwrap();
    let again = story.tell(BUYER, contest(3, 1), 1310);
    assert_eq!(again, Err(RoundError::AlreadyContested));
    story.tell(OTHER, answer(3, 0), 1320).unwrap();
    assert_eq!(story.round().state, RoundState::Contested);
    assert_eq!(
        story.tell(OTHER, answer(3, 0), 1320),
        Err(RoundError::AlreadyProven)
    );
    assert_eq!(
        story.tell(OTHER, answer(4, 0), 1320),
        Err(RoundError::NotContested)
    );
    story.tell(OTHER, Action::Expire, 1611).unwrap();
    assert_eq!(story.round().state, RoundState::Slashed);
    assert_eq!((story.buyer, story.seller), (1000 + 5000 + 40, 40));
}

#[test]
fn terms_are_refused_by_name() {
    let refused = |change: fn(&mut RoundTerms)| {
        let mut changed = terms();
        change(&mut changed);
        let value = changed.deposit().unwrap_or_default().0;
        step(None, &open_with(changed, Some(model()), value), START).unwrap_err()
    };
    assert_eq!(refused(|terms| terms.batches = 0), RoundError::NoBatches);
    let order = refused(|terms| terms.accept_by = 1000);
    assert!(matches!(order, RoundError::DeadlinesOutOfOrder { .. }));
    let order = refused(|terms| terms.serve_by = 2000);
    assert!(matches!(order, RoundError::DeadlinesOutOfOrder { .. }));
    let time = refused(|terms| terms.window = 0);
    assert!(matches!(time, RoundError::NoTimeToContest { .. }));
    let long = refused(|terms| terms.serve_by = 1000 + 2_592_000 - 799);
    assert!(matches!(long, RoundError::RoundTooLong { .. }));
    let token = refused(|terms| terms.token = OTHER);
    assert_eq!(token, DealError::TokenWithoutCode { token: OTHER }.into());
    let huge = refused(|terms| terms.price = Amount(u128::MAX));
    let amount = Amount(u128::MAX);
    assert_eq!(huge, DealError::AmountOverflow { amount }.into());
    let unknown = step(None, &open_with(terms(), None, 1000), START);
    assert!(matches!(
        unknown,
        Err(RoundError::Deal(DealError::UnknownModel { .. }))
    ));
    let same = Moment { block: 10, ..START };
    let young = step(None, &open_with(terms(), Some(model()), 1000), same);
    assert!(matches!(
        young,
        Err(RoundError::Deal(DealError::ModelNotEarlier { .. }))
    ));
    let short = step(None, &open_with(terms(), Some(model()), 999), START);
    assert!(matches!(
        short,
        Err(RoundError::Deal(DealError::WrongValue { .. }))
    ));
    let story = Story::new();
    let twice = open_with(terms(), Some(model()), 1000);
    let twice = step(story.record.as_ref(), &twice, START);
    assert_eq!(twice.err(), Some(RoundError::RoundExists));
    assert_eq!(
        step(
            None,
            &Event {
                by: OTHER,
                action: Action::Expire
            },
            START
        )
        .err(),
        Some(RoundError::UnknownRound)
    );
}

fn anybody() -> impl Strategy<Value = Address> {
    prop_oneof![Just(BUYER), Just(SELLER), Just(OTHER)]
}

fn anything() -> impl Strategy<Value = Action> {
    let signed = || (0u32..12, proptest::option::of(anybody()));
    let signer = proptest::option::of(anybody());
    prop_oneof![
        1 => Just(Action::Cancel),
        3 => Just(ACCEPT),
        3 => signed().prop_map(|(count, signer)| Action::Close { count, signer }),
        2 => signed().prop_map(|(count, signer)| Action::Approve { count, signer }),
        4 => (0u32..12, 0u8..2, signer).prop_map(|(index, points, signer)| Action::Contest {
            prediction: prediction(index, points),
            signer: signer.or(Some(SELLER)),
            value: Amount(40),
        }),
        4 => (0u32..12, 0u8..2, any::<bool>()).prop_map(|(index, points, accepted)| {
            Action::Answer { prediction: prediction(index, points), accepted }
        }),
        2 => Just(Action::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_story_makes_or_loses_money(
        events in proptest::collection::vec((anybody(), anything(), 0u64..250), 1..60)
    ) {
        let mut story = Story::new();
        let mut time = START.time;
        for (by, action, pause) in events {
            time += pause;
            let before = story.record.clone().unwrap();
            let told = story.tell(by, action, time);
            if before.round.state.is_terminal() {
                prop_assert!(told.is_err());
            }
            if told.is_err() {
                prop_assert_eq!(story.record.clone().unwrap(), before);
            }
            prop_assert_eq!(story.paid_in, story.locked() + story.buyer + story.seller);
            let record = story.record.as_ref().unwrap();
            let open = record.contests.values().filter(|how| **how == Contest::Open).count();
            prop_assert_eq!(open, record.round.contests as usize);
        }
        // No state is without an end: the clock alone brings it there.
        for _ in 0..3 {
            time = time.max(story.round().deadline) + 1;
            let _ = story.tell(OTHER, Action::Expire, time);
        }
        prop_assert!(story.round().state.is_terminal());
        prop_assert_eq!(story.paid_in, story.buyer + story.seller);
    }
}
