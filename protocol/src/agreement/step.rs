//! The rules: one function per event, each a list of checks in the contract's order and then one change.

use super::{
    Action, Agreement, Effect, Event, ModelFacts, Moment, RuleError, ShardCount, State, Terms,
    Verdict,
};
use super::{Metric, NOTICE_PERIOD};
use crate::{
    dataset_root::{verify_path, RootError, ShardLeaf},
    value::{Address, Amount, Hash},
};

type Outcome = Result<(Agreement, Vec<Effect>), RuleError>;

/// What `event` at `now` makes of the agreement `before` (`None`: not opened yet): the agreement after it and the
/// money it moves, or the rule that refuses it. Pure and total; a refused event changes nothing.
pub fn step(before: Option<&Agreement>, event: &Event, now: Moment) -> Outcome {
    let by = event.by;
    if let Action::Open {
        terms,
        model,
        token_has_code,
        value,
    } = &event.action
    {
        if before.is_some() {
            return Err(RuleError::AgreementExists);
        }
        return open(by, terms, *model, *token_has_code, *value, now);
    }
    let agreement = before.cloned().ok_or(RuleError::UnknownAgreement)?;
    match &event.action {
        Action::Open { .. } => Err(RuleError::AgreementExists),
        Action::Cancel => cancel(agreement, by, now.time),
        Action::Accept { value } => accept(agreement, by, *value, now.time),
        Action::Decline => decline(agreement, by, now.time),
        Action::Acknowledge { ciphertext } => {
            acknowledge(agreement, now.time, *ciphertext, |seller| {
                only_seller(seller, by)
            })
        }
        Action::AcknowledgeBySignature { ciphertext, signer } => {
            acknowledge(agreement, now.time, *ciphertext, |seller| {
                require(*signer == Some(seller), || RuleError::ReceiptNotSigned {
                    seller,
                })
            })
        }
        Action::ProveShard {
            shard,
            registered_points,
            model_points,
            shard_points,
            path,
            verdict,
        } => {
            expect_state(&agreement, State::Delivered)?;
            in_time(agreement.terms.prove_by, now.time)?;
            fits_dataset(&agreement, shard)?;
            belongs(&agreement.terms, shard, *shard_points, path)?;
            require(registered_points == model_points, || {
                RuleError::ModelPointsMismatch {
                    expected: *registered_points,
                    found: *model_points,
                }
            })?;
            judged(shard.index, *verdict)?;
            count(agreement, shard)
        }
        Action::Slash => slash(agreement, now.time),
    }
}

fn open(
    buyer: Address,
    terms: &Terms,
    model: Option<ModelFacts>,
    token_has_code: bool,
    value: Amount,
    now: Moment,
) -> Outcome {
    let model = model.ok_or(RuleError::UnknownModel { model: terms.model })?;
    require(model.registered_block < now.block, || {
        RuleError::ModelNotEarlier {
            registered: model.registered_block,
            current: now.block,
        }
    })?;
    require(model.retires_at == 0, || RuleError::ModelRetiring {
        model: terms.model,
        retires_at: model.retires_at,
    })?;
    let prove_by = terms.prove_by;
    let latest = now.time.saturating_add(NOTICE_PERIOD);
    require(prove_by <= latest, || RuleError::AgreementTooLong {
        prove_by,
        latest,
    })?;
    require(token_has_code || terms.token == Address::ZERO, || {
        RuleError::TokenWithoutCode { token: terms.token }
    })?;
    check_terms(terms, now.time)?;
    exact_value(terms.wei(terms.price), value)?;
    let agreement = Agreement {
        terms: terms.clone(),
        buyer,
        seller: model.seller,
        state: State::Open,
        proven: Default::default(),
        valid: 0,
        correct: 0,
        ciphertext: Hash::ZERO,
    };
    let deposit = deposit(&agreement, buyer, terms.price);
    Ok((agreement, deposit))
}

fn check_terms(terms: &Terms, now: u64) -> Result<(), RuleError> {
    let Terms {
        shards,
        samples,
        threshold,
        ..
    } = *terms;
    let Terms { penalty, bond, .. } = *terms;
    let Terms {
        accept_by,
        deliver_by,
        prove_by,
        ..
    } = *terms;
    require(penalty <= bond, || RuleError::PenaltyAboveBond {
        penalty,
        bond,
    })?;
    require(1 <= shards && shards <= samples, || {
        RuleError::ShardsOutOfRange { shards, samples }
    })?;
    require(threshold <= samples, || RuleError::ThresholdAboveSamples {
        threshold,
        samples,
    })?;
    require(
        now < accept_by && accept_by < deliver_by && deliver_by < prove_by,
        || RuleError::DeadlinesOutOfOrder {
            now,
            accept_by,
            deliver_by,
            prove_by,
        },
    )
}

fn cancel(mut agreement: Agreement, by: Address, now: u64) -> Outcome {
    expect_state(&agreement, State::Open)?;
    let accept_by = agreement.terms.accept_by;
    require(by == agreement.buyer || now > accept_by, || {
        RuleError::OnlyBuyerUntil {
            accept_by,
            caller: by,
        }
    })?;
    agreement.state = State::Cancelled;
    let refund = credits(&agreement, agreement.terms.price, Amount::ZERO);
    Ok((agreement, refund))
}

fn accept(mut agreement: Agreement, by: Address, value: Amount, now: u64) -> Outcome {
    expect_state(&agreement, State::Open)?;
    only_seller(agreement.seller, by)?;
    in_time(agreement.terms.accept_by, now)?;
    let bond = agreement.terms.bond;
    exact_value(agreement.terms.wei(bond), value)?;
    agreement.state = State::Accepted;
    let deposit = deposit(&agreement, by, bond);
    Ok((agreement, deposit))
}

fn decline(mut agreement: Agreement, by: Address, now: u64) -> Outcome {
    expect_state(&agreement, State::Accepted)?;
    let deliver_by = agreement.terms.deliver_by;
    require(by == agreement.seller || now > deliver_by, || {
        RuleError::OnlySellerUntil {
            deliver_by,
            caller: by,
        }
    })?;
    agreement.state = State::Declined;
    let refund = credits(&agreement, agreement.terms.price, agreement.terms.bond);
    Ok((agreement, refund))
}

fn acknowledge(
    mut agreement: Agreement,
    now: u64,
    ciphertext: Hash,
    entitled: impl Fn(Address) -> Result<(), RuleError>,
) -> Outcome {
    expect_state(&agreement, State::Accepted)?;
    entitled(agreement.seller)?;
    in_time(agreement.terms.deliver_by, now)?;
    agreement.state = State::Delivered;
    agreement.ciphertext = ciphertext;
    Ok((agreement, vec![]))
}

fn slash(mut agreement: Agreement, now: u64) -> Outcome {
    expect_state(&agreement, State::Delivered)?;
    let deadline = agreement.terms.prove_by;
    require(now > deadline, || RuleError::TooEarly { deadline, now })?;
    agreement.state = State::Slashed;
    let everything = pot(&agreement.terms)?;
    let paid = credits(&agreement, everything, Amount::ZERO);
    Ok((agreement, paid))
}

fn fits_dataset(agreement: &Agreement, shard: &ShardCount) -> Result<(), RuleError> {
    let index = shard.index;
    let shards = agreement.terms.shards;
    require(index < shards, || RuleError::ShardOutOfRange {
        index,
        shards,
    })?;
    require(!agreement.proven.contains(&index), || {
        RuleError::ShardAlreadyProven { index }
    })?;
    let valid = shard.valid;
    [shard.top1, shard.topk].into_iter().try_for_each(|count| {
        require(count <= valid, || RuleError::CountAboveValid {
            count,
            valid,
        })
    })
}

fn belongs(
    terms: &Terms,
    shard: &ShardCount,
    points: Hash,
    path: &[Hash],
) -> Result<(), RuleError> {
    let leaf = ShardLeaf {
        index: shard.index,
        valid: shard.valid,
        points,
    };
    match verify_path(terms.dataset_root, terms.shards, &leaf, path) {
        Ok(()) => Ok(()),
        Err(RootError::PathLength { expected, got, .. }) => Err(RuleError::MerkleProofLength {
            expected,
            found: got,
        }),
        Err(RootError::Mismatch { expected, got, .. }) => Err(RuleError::ShardNotInDataset {
            expected,
            found: got,
        }),
        Err(_) => Err(RuleError::ShardOutOfRange {
            index: shard.index,
            shards: terms.shards,
        }),
    }
}

fn judged(index: u32, verdict: Verdict) -> Result<(), RuleError> {
    match verdict {
        Verdict::Accepted => Ok(()),
        Verdict::Rejected => Err(RuleError::ProofRejected { index }),
        Verdict::VerifierChanged { expected, found } => {
            Err(RuleError::VerifierChanged { expected, found })
        }
    }
}

/// Adds a shard that passed every check; the last one settles.
fn count(mut agreement: Agreement, shard: &ShardCount) -> Outcome {
    let correct = match agreement.terms.metric {
        Metric::Top1 => shard.top1,
        Metric::TopK => shard.topk,
    };
    agreement.proven.insert(shard.index);
    agreement.valid = agreement.valid.saturating_add(shard.valid.into());
    agreement.correct = agreement.correct.saturating_add(correct.into());
    let complete = agreement.missing().next().is_none();
    let (expected, found) = (agreement.terms.samples, agreement.valid);
    let fits = if complete {
        found == u64::from(expected)
    } else {
        found <= u64::from(expected)
    };
    require(fits, || RuleError::SamplesMismatch { expected, found })?;
    if !complete {
        return Ok((agreement, vec![]));
    }
    agreement.state = State::Settled;
    let Terms {
        price,
        bond,
        penalty,
        ..
    } = agreement.terms;
    let paid = if agreement.passed() {
        credits(&agreement, Amount::ZERO, pot(&agreement.terms)?)
    } else {
        let to_buyer = price
            .checked_add(penalty)
            .ok_or(RuleError::AmountOverflow)?;
        let to_seller = bond.checked_sub(penalty).ok_or(RuleError::AmountOverflow)?;
        credits(&agreement, to_buyer, to_seller)
    };
    Ok((agreement, paid))
}

/// Both deposits.
fn pot(terms: &Terms) -> Result<Amount, RuleError> {
    terms
        .price
        .checked_add(terms.bond)
        .ok_or(RuleError::AmountOverflow)
}

fn deposit(agreement: &Agreement, from: Address, amount: Amount) -> Vec<Effect> {
    let token = agreement.terms.token;
    Some(Effect::Deposit {
        from,
        token,
        amount,
    })
    .filter(|_| amount != Amount::ZERO)
    .into_iter()
    .collect()
}

fn credits(agreement: &Agreement, to_buyer: Amount, to_seller: Amount) -> Vec<Effect> {
    let token = agreement.terms.token;
    [(agreement.buyer, to_buyer), (agreement.seller, to_seller)]
        .into_iter()
        .filter(|(_, amount)| *amount != Amount::ZERO)
        .map(|(to, amount)| Effect::Credit { to, token, amount })
        .collect()
}

fn require(holds: bool, otherwise: impl FnOnce() -> RuleError) -> Result<(), RuleError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}

fn expect_state(agreement: &Agreement, expected: State) -> Result<(), RuleError> {
    let found = agreement.state;
    require(found == expected, || RuleError::WrongState {
        expected,
        found,
    })
}

fn only_seller(seller: Address, caller: Address) -> Result<(), RuleError> {
    require(caller == seller, || RuleError::OnlySeller {
        seller,
        caller,
    })
}

fn in_time(deadline: u64, now: u64) -> Result<(), RuleError> {
    require(now <= deadline, || RuleError::TooLate { deadline, now })
}

fn exact_value(expected: Amount, found: Amount) -> Result<(), RuleError> {
    require(expected == found, || RuleError::WrongValue {
        expected,
        found,
    })
}
