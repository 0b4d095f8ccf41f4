//! The rules: one function per event, each a list of checks in the contract's order and then one change.

use super::{
    Action, Agreement, Effect, Event, Metric, Mode, ModelFacts, Moment, RuleError, ShardCount,
    ShardFacts, State, Terms, Verdict, DRAW_DELAY, KNOWN_BLOCKS, NOBODY, NOTICE_PERIOD,
};
use crate::{
    claim_tree::{climb, ClaimError, ShardClaim, SumNode, Sums},
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
    let case = Case { agreement, by, now };
    match &event.action {
        Action::Open { .. } => Err(RuleError::AgreementExists),
        Action::Cancel => case.cancel(),
        Action::Accept { value } => case.accept(*value),
        Action::Draw { seed } => case.draw(*seed),
        Action::Send => case.send(),
        Action::Proceed { signer } => case.proceed(*signer),
        Action::Acknowledge { ciphertext, signer } => case.acknowledge(*ciphertext, *signer),
        Action::Decline => case.decline(),
        Action::Deny => case.deny(),
        Action::Claim { node, top1, topk } => case.claim(*node, *top1, *topk),
        Action::Approve { signer } => case.approve(*signer),
        Action::Contest { index, value } => case.contest(*index, *value),
        Action::Answer { shard, proof, path } => case.answer(shard, *proof, path),
        Action::ProveShard(shard) => case.prove(shard),
        Action::Expire => case.expire(),
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
    let last_second = terms.last_second();
    let latest = now.time.saturating_add(NOTICE_PERIOD);
    require(last_second <= latest, || RuleError::AgreementTooLong {
        last_second,
        latest,
    })?;
    require(token_has_code || terms.token == Address::ZERO, || {
        RuleError::TokenWithoutCode { token: terms.token }
    })?;
    check_terms(terms, now.time)?;
    let deposit = terms.deposit().ok_or(RuleError::AmountOverflow)?;
    exact_value(terms.wei(deposit), value)?;
    let agreement = Agreement {
        terms: terms.clone(),
        buyer,
        seller: model.seller,
        state: State::Open,
        deadline: terms.accept_by,
        draw_block: 0,
        seed: Hash::ZERO,
        window_end: 0,
        contested: Default::default(),
        proven: Default::default(),
        valid: 0,
        correct: 0,
        ciphertext: Hash::ZERO,
        claim: Hash::ZERO,
    };
    let deposit = deposited(terms, buyer, deposit);
    Ok((agreement, deposit))
}

fn check_terms(terms: &Terms, now: u64) -> Result<(), RuleError> {
    let Terms {
        shards,
        samples,
        threshold,
        preview_shards,
        ..
    } = *terms;
    let Terms {
        penalty,
        bond,
        preview_fee,
        ..
    } = *terms;
    let Terms {
        accept_by,
        preview_by,
        deliver_by,
        claim_by,
        ..
    } = *terms;
    require(penalty <= bond, || RuleError::PenaltyAboveBond {
        penalty,
        bond,
    })?;
    require(preview_fee <= bond, || RuleError::PreviewFeeAboveBond {
        preview_fee,
        bond,
    })?;
    require(1 <= shards && shards <= samples, || {
        RuleError::ShardsOutOfRange { shards, samples }
    })?;
    require(preview_shards <= shards, || RuleError::PreviewAboveShards {
        preview_shards,
        shards,
    })?;
    require(threshold <= samples, || RuleError::ThresholdAboveSamples {
        threshold,
        samples,
    })?;
    let answered = |by: u64| by.saturating_add(terms.response_time.into());
    require(
        now < accept_by
            && accept_by < preview_by
            && answered(preview_by) < deliver_by
            && answered(deliver_by) < claim_by,
        || RuleError::DeadlinesOutOfOrder {
            now,
            accept_by,
            preview_by,
            deliver_by,
            claim_by,
        },
    )?;
    let (window, prove_time) = (terms.window, terms.prove_time);
    require(
        terms.mode == Mode::Eager || (window > 0 && prove_time > 0),
        || RuleError::NoTimeToContest { window, prove_time },
    )
}

/// An agreement, the sender of a transaction, and when.
struct Case {
    agreement: Agreement,
    by: Address,
    now: Moment,
}

impl Case {
    fn cancel(self) -> Outcome {
        self.in_state(&[State::Open])?;
        self.only_buyer()?;
        self.in_time()?;
        self.cancelled()
    }

    fn accept(mut self, value: Amount) -> Outcome {
        self.in_state(&[State::Open])?;
        self.only_seller()?;
        self.in_time()?;
        let terms = self.agreement.terms.clone();
        exact_value(terms.wei(terms.bond), value)?;
        if terms.preview_shards == 0 {
            self.enter(State::Previewed, terms.deliver_by);
        } else {
            self.agreement.draw_block = self.now.block.saturating_add(DRAW_DELAY);
            self.enter(State::Accepted, terms.preview_by);
        }
        let effects = deposited(&terms, self.by, terms.bond);
        Ok((self.agreement, effects))
    }

    fn draw(mut self, seed: Hash) -> Outcome {
        self.in_state(&[State::Accepted])?;
        self.in_time()?;
        let (draw_block, current) = (self.agreement.draw_block, self.now.block);
        require(current > draw_block, || RuleError::DrawTooEarly {
            draw_block,
            current,
        })?;
        require(!self.draw_missed(), || RuleError::DrawTooLate {
            draw_block,
            current,
        })?;
        self.agreement.seed = seed;
        self.enter(State::Drawn, self.agreement.terms.preview_by);
        self.unpaid()
    }

    fn draw_missed(&self) -> bool {
        self.now.block > self.agreement.draw_block.saturating_add(KNOWN_BLOCKS)
    }

    fn send(mut self) -> Outcome {
        self.in_state(&[State::Drawn, State::Previewed])?;
        self.only_buyer()?;
        self.in_time()?;
        let next = match self.agreement.state {
            State::Drawn => State::PreviewSent,
            _ => State::RestSent,
        };
        let answer_by = self
            .agreement
            .deadline
            .saturating_add(self.agreement.terms.response_time.into());
        self.enter(next, answer_by);
        self.unpaid()
    }

    fn proceed(mut self, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Drawn, State::PreviewSent])?;
        self.signed(self.agreement.seller, signer)?;
        self.in_time()?;
        self.enter(State::Previewed, self.agreement.terms.deliver_by);
        self.unpaid()
    }

    fn acknowledge(mut self, ciphertext: Hash, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Previewed, State::RestSent])?;
        self.signed(self.agreement.seller, signer)?;
        self.in_time()?;
        self.agreement.ciphertext = ciphertext;
        self.enter(State::Delivered, self.agreement.terms.claim_by);
        self.unpaid()
    }

    fn decline(self) -> Outcome {
        let asked_for = State::Accepted..=State::RestSent;
        let found = self.agreement.state;
        require(asked_for.contains(&found), || RuleError::WrongState {
            found,
        })?;
        self.only_seller()?;
        self.in_time()?;
        let free = self.agreement.state == State::Accepted;
        self.declined(!free)
    }

    fn deny(mut self) -> Outcome {
        self.in_state(&[State::PreviewSent, State::RestSent])?;
        self.only_seller()?;
        self.in_time()?;
        self.enter(State::Denied, 0);
        let terms = &self.agreement.terms;
        let burnt = add([terms.preview_fee, terms.buyer_bond])?;
        let kept = subtract(terms.bond, terms.preview_fee)?;
        let mut effects = self.credits(terms.price, kept);
        effects.extend(credit(terms, NOBODY, burnt));
        Ok((self.agreement, effects))
    }

    fn claim(mut self, node: Hash, top1: u32, topk: u32) -> Outcome {
        self.in_state(&[State::Delivered])?;
        self.in_mode(Mode::Optimistic)?;
        self.only_seller()?;
        self.in_time()?;
        let samples = self.agreement.terms.samples;
        for count in [top1, topk] {
            require(count <= samples, || RuleError::ClaimAboveSamples {
                count,
                samples,
            })?;
        }
        let sums = Sums {
            valid: samples.into(),
            top1: top1.into(),
            topk: topk.into(),
        };
        self.agreement.claim = SumNode { hash: node, sums }.root();
        self.agreement.correct = self.counted(top1, topk);
        let window_end = self
            .now
            .time
            .saturating_add(self.agreement.terms.window.into());
        self.agreement.window_end = window_end;
        self.enter(State::Claimed, window_end);
        self.unpaid()
    }

    fn approve(self, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Claimed])?;
        self.signed(self.agreement.buyer, signer)?;
        self.in_time()?;
        self.settled()
    }

    fn contest(mut self, index: u32, value: Amount) -> Outcome {
        self.in_state(&[State::Claimed, State::Contested])?;
        self.only_buyer()?;
        self.in_time()?;
        let (deadline, now) = (self.agreement.window_end, self.now.time);
        require(now <= deadline, || RuleError::TooLate { deadline, now })?;
        self.in_range(index)?;
        require(self.agreement.contested.insert(index), || {
            RuleError::ShardAlreadyContested { index }
        })?;
        let terms = self.agreement.terms.clone();
        exact_value(terms.wei(terms.contest_fee), value)?;
        // One deadline for all open contests: a later one prolongs the earlier.
        self.enter(
            State::Contested,
            now.saturating_add(terms.prove_time.into()),
        );
        let effects = deposited(&terms, self.by, terms.contest_fee);
        Ok((self.agreement, effects))
    }

    fn answer(mut self, facts: &ShardFacts, proof: Hash, path: &[SumNode]) -> Outcome {
        self.in_state(&[State::Contested])?;
        self.in_time()?;
        let index = facts.shard.index;
        self.in_range(index)?;
        require(self.agreement.contested.contains(&index), || {
            RuleError::ShardNotContested { index }
        })?;
        self.not_proven(index)?;
        self.in_claim(&facts.shard, proof, path)?;
        check_shard(&self.agreement.terms, facts)?;
        self.agreement.proven.insert(index);
        if self.agreement.unanswered().next().is_none() {
            self.enter(State::Claimed, self.agreement.window_end);
        }
        let effects = self.credits(Amount::ZERO, self.agreement.terms.contest_fee);
        Ok((self.agreement, effects))
    }

    fn in_claim(&self, shard: &ShardCount, proof: Hash, path: &[SumNode]) -> Result<(), RuleError> {
        let claim = ShardClaim {
            count: *shard,
            proof,
        };
        let expected = self.agreement.claim;
        let found = match climb(self.agreement.terms.shards, &claim, path) {
            Ok(root) => root,
            Err(ClaimError::PathLength { expected, got, .. }) => {
                let found = got;
                return Err(RuleError::PathLength { expected, found });
            }
            Err(_) => Hash::ZERO,
        };
        require(found == expected, || RuleError::ShardNotInClaim {
            expected,
            found,
        })
    }

    fn prove(mut self, facts: &ShardFacts) -> Outcome {
        self.in_state(&[State::Delivered])?;
        self.in_mode(Mode::Eager)?;
        self.in_time()?;
        let shard = &facts.shard;
        self.in_range(shard.index)?;
        self.not_proven(shard.index)?;
        check_shard(&self.agreement.terms, facts)?;

        let correct = self.counted(shard.top1, shard.topk);
        let agreement = &mut self.agreement;
        agreement.proven.insert(shard.index);
        agreement.valid = agreement.valid.saturating_add(shard.valid.into());
        agreement.correct = agreement.correct.saturating_add(correct);
        let complete = agreement.missing().next().is_none();
        let (expected, found) = (agreement.terms.samples, agreement.valid);
        let fits = if complete {
            found == u64::from(expected)
        } else {
            found <= u64::from(expected)
        };
        require(fits, || RuleError::SamplesMismatch { expected, found })?;
        if complete {
            self.settled()
        } else {
            self.unpaid()
        }
    }

    fn expire(self) -> Outcome {
        let found = self.agreement.state;
        require(!found.is_terminal(), || RuleError::WrongState { found })?;
        let (deadline, now) = (self.agreement.deadline, self.now.time);
        let missed = found == State::Accepted && self.draw_missed();
        require(now > deadline || missed, || RuleError::TooEarly {
            deadline,
            now,
        })?;
        match found {
            State::Open => self.cancelled(),
            State::Accepted => self.declined(false),
            State::Drawn | State::Previewed => self.forfeited(),
            State::PreviewSent | State::RestSent => self.declined(true),
            State::Claimed => self.settled(),
            _ => self.slashed(),
        }
    }

    // ---- the ends, and who gets what

    fn cancelled(mut self) -> Outcome {
        self.enter(State::Cancelled, 0);
        let back = add([self.agreement.terms.price, self.agreement.terms.buyer_bond])?;
        let effects = self.credits(back, Amount::ZERO);
        Ok((self.agreement, effects))
    }

    fn declined(mut self, costs: bool) -> Outcome {
        self.enter(State::Declined, 0);
        let terms = &self.agreement.terms;
        let fee = if costs {
            terms.preview_fee
        } else {
            Amount::ZERO
        };
        let to_buyer = add([terms.price, terms.buyer_bond, fee])?;
        let effects = self.credits(to_buyer, subtract(terms.bond, fee)?);
        Ok((self.agreement, effects))
    }

    fn forfeited(mut self) -> Outcome {
        self.enter(State::Forfeited, 0);
        let terms = &self.agreement.terms;
        let effects = self.credits(terms.price, add([terms.bond, terms.buyer_bond])?);
        Ok((self.agreement, effects))
    }

    fn slashed(mut self) -> Outcome {
        self.enter(State::Slashed, 0);
        let terms = &self.agreement.terms;
        let mut all = add([terms.price, terms.buyer_bond, terms.bond])?;
        for _ in self.agreement.unanswered() {
            all = add([all, terms.contest_fee])?;
        }
        let effects = self.credits(all, Amount::ZERO);
        Ok((self.agreement, effects))
    }

    fn settled(mut self) -> Outcome {
        self.enter(State::Settled, 0);
        let terms = &self.agreement.terms;
        let effects = if self.agreement.passed() {
            self.credits(terms.buyer_bond, add([terms.price, terms.bond])?)
        } else {
            let to_buyer = add([terms.price, terms.buyer_bond, terms.penalty])?;
            self.credits(to_buyer, subtract(terms.bond, terms.penalty)?)
        };
        Ok((self.agreement, effects))
    }

    fn unpaid(self) -> Outcome {
        Ok((self.agreement, vec![]))
    }

    fn credits(&self, to_buyer: Amount, to_seller: Amount) -> Vec<Effect> {
        let Agreement {
            terms,
            buyer,
            seller,
            ..
        } = &self.agreement;
        credit(terms, *buyer, to_buyer)
            .into_iter()
            .chain(credit(terms, *seller, to_seller))
            .collect()
    }

    // ---- who, what, when

    fn enter(&mut self, state: State, deadline: u64) {
        self.agreement.state = state;
        self.agreement.deadline = deadline;
    }

    fn counted(&self, top1: u32, topk: u32) -> u64 {
        match self.agreement.terms.metric {
            Metric::Top1 => top1.into(),
            Metric::TopK => topk.into(),
        }
    }

    fn in_state(&self, expected: &[State]) -> Result<(), RuleError> {
        let found = self.agreement.state;
        require(expected.contains(&found), || RuleError::WrongState {
            found,
        })
    }

    fn in_mode(&self, expected: Mode) -> Result<(), RuleError> {
        let found = self.agreement.terms.mode;
        require(found == expected, || RuleError::WrongMode { found })
    }

    fn only_buyer(&self) -> Result<(), RuleError> {
        let (buyer, caller) = (self.agreement.buyer, self.by);
        require(caller == buyer, || RuleError::OnlyBuyer { buyer, caller })
    }

    fn only_seller(&self) -> Result<(), RuleError> {
        let (seller, caller) = (self.agreement.seller, self.by);
        require(caller == seller, || RuleError::OnlySeller {
            seller,
            caller,
        })
    }

    fn signed(&self, must: Address, signer: Option<Address>) -> Result<(), RuleError> {
        require(self.by == must || signer == Some(must), || {
            RuleError::NotSigned { signer: must }
        })
    }

    fn in_time(&self) -> Result<(), RuleError> {
        let (deadline, now) = (self.agreement.deadline, self.now.time);
        require(now <= deadline, || RuleError::TooLate { deadline, now })
    }

    fn in_range(&self, index: u32) -> Result<(), RuleError> {
        let shards = self.agreement.terms.shards;
        require(index < shards, || RuleError::ShardOutOfRange {
            index,
            shards,
        })
    }

    fn not_proven(&self, index: u32) -> Result<(), RuleError> {
        require(!self.agreement.proven.contains(&index), || {
            RuleError::ShardAlreadyProven { index }
        })
    }
}

/// What makes a shard proof true: the agreed shard, the registered model, the verifier's word.
fn check_shard(terms: &Terms, facts: &ShardFacts) -> Result<(), RuleError> {
    let ShardCount {
        index,
        valid,
        top1,
        topk,
    } = facts.shard;
    for count in [top1, topk] {
        require(count <= valid, || RuleError::CountAboveValid {
            count,
            valid,
        })?;
    }
    belongs(terms, facts)?;
    let (expected, found) = (facts.registered_points, facts.model_points);
    require(found == expected, || RuleError::ModelPointsMismatch {
        expected,
        found,
    })?;
    let (expected, found) = (facts.registered_length, facts.length);
    require(found == usize::from(expected), || {
        RuleError::ShardPointsLength { expected, found }
    })?;
    match facts.verdict {
        Verdict::Accepted => Ok(()),
        Verdict::Rejected => Err(RuleError::ProofRejected { index }),
        Verdict::VerifierChanged { expected, found } => {
            Err(RuleError::VerifierChanged { expected, found })
        }
    }
}

fn belongs(terms: &Terms, facts: &ShardFacts) -> Result<(), RuleError> {
    let leaf = ShardLeaf {
        index: facts.shard.index,
        valid: facts.shard.valid,
        points: facts.shard_points,
    };
    match verify_path(terms.dataset_root, terms.shards, &leaf, &facts.path) {
        Ok(()) => Ok(()),
        Err(RootError::PathLength { expected, got, .. }) => Err(RuleError::PathLength {
            expected,
            found: got,
        }),
        Err(RootError::Mismatch { expected, got, .. }) => Err(RuleError::ShardNotInDataset {
            expected,
            found: got,
        }),
        Err(_) => Err(RuleError::ShardOutOfRange {
            index: leaf.index,
            shards: terms.shards,
        }),
    }
}

fn add<const N: usize>(amounts: [Amount; N]) -> Result<Amount, RuleError> {
    amounts
        .into_iter()
        .try_fold(Amount::ZERO, Amount::checked_add)
        .ok_or(RuleError::AmountOverflow)
}

fn subtract(from: Amount, amount: Amount) -> Result<Amount, RuleError> {
    from.checked_sub(amount).ok_or(RuleError::AmountOverflow)
}

fn deposited(terms: &Terms, from: Address, amount: Amount) -> Vec<Effect> {
    let token = terms.token;
    Some(Effect::Deposit {
        from,
        token,
        amount,
    })
    .filter(|_| amount != Amount::ZERO)
    .into_iter()
    .collect()
}

fn credit(terms: &Terms, to: Address, amount: Amount) -> Option<Effect> {
    let token = terms.token;
    Some(Effect::Credit { to, token, amount }).filter(|_| amount != Amount::ZERO)
}

fn require(holds: bool, otherwise: impl FnOnce() -> RuleError) -> Result<(), RuleError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}

fn exact_value(expected: Amount, found: Amount) -> Result<(), RuleError> {
    require(expected == found, || RuleError::WrongValue {
        expected,
        found,
    })
}
