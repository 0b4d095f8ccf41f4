//! A round of predictions, from the buyer's side: opens it, sends batch after batch with a voucher for those before, audits a
//! random share of the answers, contests what is not proven, approves what is. What is stored and what the chain says decide
//! the next step, so a crash at any point is the same as a pause.

use std::time::Duration;

use anyhow::{anyhow, ensure, Context};
use rand::{rngs::OsRng, seq::SliceRandom, Rng};
use tokio::time::{timeout, Instant};
use zknode_protocol::{
    chain::{Call, ChainError, RoundCall, RoundChain},
    digest::keccak,
    message::Version,
    round::{
        message::{AuditRequest, Domain, Payment, PredictRequest, SignedPrediction},
        prediction_context, Contest, Round, RoundId, RoundState,
    },
};

use super::{
    challenge::{is_refusal, Buyer, NotOpened},
    order::{Order, OrderedBatch, RoundOutcome, Verdict},
    CheckedModel, Client,
};
use crate::{
    card::write_delivery,
    delivery::{self, Sample, ShardOpening},
    output::explain,
    predict::{answered, commit, Expected},
    store::Table,
    testset::shard_points,
};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(300);
/// Longest pause after errors that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Longest look at the proofs of a round, before the chain is looked at again.
const AUDIT_PASS: Duration = Duration::from_secs(20);
/// Contests that are open at once while there is time: one that is not answered is enough.
const FEW_CONTESTS: u32 = 8;

impl<C: RoundChain> Buyer<C> {
    /// Stores a new round before anything is sent.
    pub fn begin_round(&self, order: &Order) -> anyhow::Result<()> {
        let key = order.id().to_string();
        Ok(self.store.put(Table::Orders, &key, order)?)
    }

    /// A stored round.
    pub fn order(&self, id: RoundId) -> anyhow::Result<Order> {
        let found: Option<Order> = self.store.get(Table::Orders, &id.to_string())?;
        let order = found.with_context(|| format!("no round {id} is stored here"))?;
        order.check_version()?;
        Ok(order)
    }

    /// The stored rounds that are not over.
    pub fn unfinished_rounds(&self) -> anyhow::Result<Vec<(RoundId, Order)>> {
        let mut open = vec![];
        for (_, order) in self.store.all::<Order>(Table::Orders)? {
            order.check_version()?;
            if order.outcome.is_none() && order.not_opened.is_none() {
                open.push((order.id(), order));
            }
        }
        Ok(open)
    }

    /// Sees a round through to its end, for as long as that takes. The wallet's escrow is the predictions contract.
    pub async fn see_round_through(
        &self,
        id: RoundId,
        model: &CheckedModel,
    ) -> anyhow::Result<Order> {
        let order = self.order(id)?;
        let chain = self.wallet.chain();
        let (expected, here) = (order.offer.domain, chain.contracts().escrow);
        // Elsewhere it would be opened once more.
        ensure!(
            (expected.chain_id, expected.contract) == (chain.chain_id(), here),
            "round {id} is of contract {} on chain {}, expected {here} on chain {}: see `zknode contract predictions`",
            expected.contract,
            expected.chain_id,
            chain.chain_id()
        );
        let inputs = tokio::task::block_in_place(|| order.source.read(&model.layout))?;
        let wanted: u64 = order
            .batches
            .iter()
            .map(|batch| u64::from(batch.inputs))
            .sum();
        ensure!(
            wanted <= inputs.len() as u64,
            "{}: fewer images than when the round was opened; restore the file",
            order.source.path.display()
        );
        let mut pause = POLL;
        loop {
            match self.advance_round(id, model, &inputs).await {
                Ok(Step::Over) => return self.order(id),
                Ok(Step::Again) => {
                    pause = POLL;
                    continue;
                }
                Ok(Step::Wait) => pause = POLL,
                Err(error) if error.is::<NotOpened>() => {
                    let reason = error.to_string();
                    self.change_order(id, |order| order.not_opened = Some(reason))?;
                    return Err(error);
                }
                Err(error) => {
                    let words = explain(&error);
                    self.progress.say(format!("{words}; trying again"));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn change_order(&self, id: RoundId, change: impl FnOnce(&mut Order)) -> anyhow::Result<()> {
        let key = id.to_string();
        self.store
            .update(Table::Orders, &key, |order: Option<Order>| {
                let mut order = order.with_context(|| format!("round {id} is unknown"))?;
                change(&mut order);
                Ok::<_, anyhow::Error>((order, ()))
            })?
    }

    /// Takes the next step.
    async fn advance_round(
        &self,
        id: RoundId,
        model: &CheckedModel,
        inputs: &[Sample],
    ) -> anyhow::Result<Step> {
        let order = self.order(id)?;
        if order.outcome.is_some() {
            return Ok(Step::Over);
        }
        let chain = self.wallet.chain();
        let Some(round) = chain.round_at_depth(id, 0).await? else {
            // Not opened yet, or reorganized away: what was signed is sent again.
            self.open_round(&order).await?;
            return Ok(Step::Wait);
        };
        let now = chain.head().await?.time;
        let case = RoundCase {
            buyer: self,
            id,
            order: &order,
            model,
            inputs,
            round: &round,
            now,
            client: Client::new(&order.seller)?,
        };
        if round.state.is_terminal() {
            return case.close().await;
        }
        if round.is_overdue(now) {
            self.progress.say(format!(
                "round {id}: the deadline passed while {:?}; ending it",
                round.state
            ));
            let purpose = format!("overdue round {id} {:?} {}", round.state, round.deadline);
            return case.attempt(&purpose, RoundCall::Expire(id)).await;
        }
        match round.state {
            RoundState::Open => case.offer().await,
            RoundState::Serving => case.ask().await,
            RoundState::Closed | RoundState::Contested => case.judge().await,
            _ => Ok(Step::Wait),
        }
    }

    async fn open_round(&self, order: &Order) -> anyhow::Result<()> {
        let (id, terms) = (order.id(), order.offer.terms.clone());
        let price = terms.deposit().context("the price is above 2^128")?;
        let purpose = format!("open round {id}");
        let call = Call::Round(Box::new(RoundCall::Open {
            nonce: order.offer.nonce,
            terms: terms.clone(),
        }));
        let sent = async {
            self.wallet.allow(terms.token, price, &purpose).await?;
            self.wallet.execute(&purpose, &call).await
        };
        let receipt = match sent.await {
            Err(error) if is_refusal(&error) && !self.wallet.was_sent(&purpose)? => {
                return Err(NotOpened::from(error).into());
            }
            outcome => outcome?,
        };
        self.progress.say(format!(
            "round {id}: open, {} batches, {} gas; after a crash: zknode buyer predict --resume {id}",
            terms.batches, receipt.gas
        ));
        Ok(())
    }
}

/// What to do after a step.
enum Step {
    /// Something happened: look again at once.
    Again,
    /// The other side, the chain or a deadline must move first.
    Wait,
    /// It ended, and all money is withdrawn.
    Over,
}

/// One round, at one moment.
struct RoundCase<'a, C> {
    buyer: &'a Buyer<C>,
    id: RoundId,
    order: &'a Order,
    model: &'a CheckedModel,
    inputs: &'a [Sample],
    round: &'a Round,
    now: u64,
    client: Client,
}

impl<C: RoundChain> RoundCase<'_, C> {
    async fn offer(&self) -> anyhow::Result<Step> {
        let status = self.client.round(&self.order.offer).await?;
        let Some(reason) = status.refused else {
            return Ok(Step::Wait);
        };
        let id = self.id;
        let words = format!("round {id}: the seller refuses: {reason}");
        self.say(&words);
        self.change(|order| order.stopped = Some(words))?;
        let purpose = format!("cancel round {id}");
        self.attempt(&purpose, RoundCall::Cancel(id)).await
    }

    /// While the seller serves: audits what is answered, asks for the next batch, pays, and at last approves.
    async fn ask(&self) -> anyhow::Result<Step> {
        if self.order.stopped.is_some() {
            // What is wrong is contested once the round is closed.
            return Ok(Step::Wait);
        }
        let audited = self.audit().await?;
        if audited.found {
            return Ok(Step::Again);
        }
        let next = self
            .order
            .batches
            .iter()
            .position(|batch| batch.answer.is_none());
        if let Some(index) = next {
            return self.request(index).await;
        }
        let count = self.order.batches.len() as u32;
        let domain = self.domain();
        if !self.order.paid {
            let digest = domain.voucher_digest(self.id, count);
            self.client
                .voucher(self.id, &self.payment(count, digest)?)
                .await?;
            self.change(|order| order.paid = true)?;
            return Ok(Step::Again);
        }
        if !all_proven(self.order) || self.order.approved.is_some() {
            return audited.wait();
        }
        let digest = domain.approval_digest(self.id, count);
        let payment = self.payment(count, digest)?;
        self.client.approval(self.id, &payment).await?;
        self.change(|order| order.approved = Some((count, payment.signature)))?;
        Ok(Step::Wait)
    }

    /// Sends one batch, with the voucher for those before it.
    async fn request(&self, index: usize) -> anyhow::Result<Step> {
        let number = index as u32;
        let opening = self.opening(index)?;
        let key = self.order.card.seller.reading_key;
        let sealed = delivery::seal(std::slice::from_ref(&opening), &key.0, &mut OsRng)?;
        let (domain, hash) = (self.domain(), keccak(&sealed));
        let sign = |digest| self.buyer.key.sign(digest);
        let request = PredictRequest {
            version: Version,
            round: self.id,
            index: number,
            ciphertext_hash: hash,
            ciphertext_bytes: sealed.len() as u64,
            signature: sign(domain.request_digest(self.id, number, hash))?,
            voucher: sign(domain.voucher_digest(self.id, number))?,
        };
        let body = write_delivery(&request, &sealed)?;
        let answer = match self.client.predict(self.id, body).await {
            Err(error) if !error.may_pass() => {
                // Nothing more may come: what came is paid for.
                self.pay(number).await;
                return Err(error.into());
            }
            answer => answer?,
        };
        if let Err(reason) = self.check_answer(number, &opening, &answer) {
            // Neither paid nor contested: it binds nobody to these inputs.
            let words = format!("batch {index}: {reason}");
            self.say(format!("round {}: {words}; no further batch", self.id));
            self.change(|order| order.stopped = Some(words))?;
            self.pay(number).await;
            return Ok(Step::Again);
        }
        self.say(format!(
            "round {}: batch {index}: {}",
            self.id,
            words(&answer.labels)
        ));
        // Drawn only now that it is signed, from the system's randomness: the seller cannot know which.
        let audit = OsRng.gen_bool(self.order.audit_rate.clamp(0.0, 1.0));
        self.change_batch(index, |batch| {
            (batch.answer, batch.audit) = (Some(answer), audit);
        })?;
        Ok(Step::Again)
    }

    /// Pays for the first `count` batches, where the seller listens: it may have no request that carries the voucher.
    async fn pay(&self, count: u32) {
        let digest = self.domain().voucher_digest(self.id, count);
        let sent = async {
            let payment = self.payment(count, digest)?;
            Ok::<_, anyhow::Error>(self.client.voucher(self.id, &payment).await?)
        };
        if count > 0 {
            if let Err(error) = sent.await {
                self.say(format!(
                    "round {}: the voucher for {count} batches did not arrive: {error}",
                    self.id
                ));
            }
        }
    }

    /// The inputs of a batch with their seed; labels of the dataset are nobody's business.
    fn opening(&self, index: usize) -> anyhow::Result<ShardOpening> {
        let missing = || format!("there is no batch {index}");
        let batches = &self.order.batches;
        let batch = batches.get(index).with_context(missing)?;
        let before = batches.iter().take(index);
        let start: usize = before.map(|batch| batch.inputs as usize).sum();
        let samples = self.inputs.get(start..start + batch.inputs as usize);
        let samples = samples.with_context(missing)?.iter().map(|sample| Sample {
            pixels: sample.pixels.clone(),
            label: 0,
        });
        Ok(ShardOpening {
            seed: batch.seed.clone(),
            samples: samples.collect(),
        })
    }

    /// Whether the seller signed exactly these inputs with these outputs.
    fn check_answer(
        &self,
        index: u32,
        inputs: &ShardOpening,
        answer: &SignedPrediction,
    ) -> Result<(), String> {
        let (expected, got) = (inputs.samples.len(), answer.labels.len());
        if expected != got {
            return Err(format!("expected {expected} predictions, got {got}"));
        }
        let opening = answered(inputs, &answer.labels);
        let commitment =
            tokio::task::block_in_place(|| commit(&self.model.layout, &self.model.srs, &opening));
        let commitment = commitment.map_err(|error| error.to_string())?;
        if answer.points != shard_points(&commitment) {
            return Err(
                "the seller signed other inputs or outputs than it was sent or sent".into(),
            );
        }
        answer
            .check(self.domain(), self.round.seller, self.id, index)
            .map_err(|error| error.to_string())
    }

    /// Looks at the proofs that are wanted, one request each, in random order and for [`AUDIT_PASS`] at most: whoever is slow
    /// gains no time, and the next pass begins elsewhere.
    async fn audit(&self) -> anyhow::Result<Audited> {
        let (mut audited, domain) = (Audited::default(), self.domain());
        let end = Instant::now() + AUDIT_PASS;
        for (index, batch) in shuffled(self.order, is_pending) {
            let Some(answer) = &batch.answer else {
                continue;
            };
            let digest = domain.audit_digest(self.id, index);
            let request = AuditRequest {
                version: Version,
                signature: self.buyer.key.sign(digest)?,
            };
            let asked = self.client.batch_proof(self.id, index, &request);
            let left = end.saturating_duration_since(Instant::now());
            let checked = match timeout(left, asked).await {
                Ok(Ok(proof)) => match proof.attestation {
                    Some(proof) => self.verify(index, answer, &proof)?,
                    None => continue,
                },
                // Words about a proof that is to be had are a refusal; trouble on the way may pass.
                Ok(Err(error)) if !error.may_pass() => Err(error.to_string()),
                Ok(Err(error)) => {
                    audited.trouble = Some(error.into());
                    break;
                }
                Err(_) => {
                    let trouble =
                        anyhow!("the seller is slow to hand over the proof of batch {index}");
                    audited.trouble = Some(trouble);
                    break;
                }
            };
            match checked {
                Ok(()) => {
                    self.say(format!("round {}: batch {index} audited, proven", self.id));
                    self.change_batch(index as usize, |batch| {
                        batch.verdict = Some(Verdict::Proven);
                    })?;
                }
                Err(reason) => self.doubt(index, reason)?,
            }
            audited.found = true;
        }
        Ok(audited)
    }

    fn doubt(&self, index: u32, reason: String) -> anyhow::Result<()> {
        self.say(format!(
            "round {}: batch {index} is not proven: {reason}",
            self.id
        ));
        let words = format!("batch {index}: {reason}");
        self.change(|order| order.stopped = Some(words))?;
        self.change_batch(index as usize, |batch| {
            batch.verdict = Some(Verdict::Doubted(reason));
        })
    }

    fn verify(
        &self,
        index: u32,
        answer: &SignedPrediction,
        proof: &zknode_circuit::verify::Attestation,
    ) -> anyhow::Result<Result<(), String>> {
        let domain = self.domain();
        let payee = self.round.seller;
        let expected = Expected {
            model: &self.order.card.points,
            points: &answer.points,
            valid: answer.prediction().valid,
            context: prediction_context(domain.chain_id, domain.contract, self.id, index, payee),
        };
        let verifier = self.model.verifier(&self.buyer.progress)?;
        Ok(tokio::task::block_in_place(|| {
            expected.check(proof, &verifier)
        }))
    }

    /// Once the round is closed: contests what is not proven, approves where everything is.
    async fn judge(&self) -> anyhow::Result<Step> {
        // What is doubted already does not wait for the seller.
        if let Step::Again = self.contest_one().await? {
            return Ok(Step::Again);
        }
        let audited = self.audit().await?;
        // The look took its time.
        let (order, chain) = (self.buyer.order(self.id)?, self.buyer.wallet.chain());
        let now = chain.head().await?.time;
        let mut found = audited.found;
        let (left, window) = (
            self.round.window_end.checked_sub(now),
            self.round.terms.window,
        );
        // From the middle of the window on, a proof that has not come is asked for on chain.
        if is_late(left, window) {
            let room = most_contests(left, window).saturating_sub(self.round.contests);
            for (index, _) in shuffled(&order, is_pending).take(room as usize) {
                self.doubt(index, "no proof in time".to_owned())?;
                found = true;
            }
        }
        if found {
            return Ok(Step::Again);
        }
        if self.round.state != RoundState::Closed || !all_proven(&order) {
            return audited.wait();
        }
        let (id, count) = (self.id, self.round.count);
        let call = RoundCall::Approve {
            id,
            count,
            signature: None,
        };
        let purpose = format!("approve round {id} {count}");
        self.attempt(&purpose, call).await
    }

    /// Contests one of the doubted batches that are not contested yet, any of them.
    async fn contest_one(&self) -> anyhow::Result<Step> {
        let (domain, chain) = (self.domain(), self.buyer.wallet.chain());
        let left = self.round.window_end.checked_sub(self.now);
        let more = self.round.contests < most_contests(left, self.round.terms.window);
        for (index, batch) in shuffled(self.order, is_doubted) {
            let Some(answer) = &batch.answer else {
                continue;
            };
            let digest = domain.prediction_digest(self.id, &answer.prediction());
            match chain.contest_of(digest).await? {
                None if more => {
                    self.say(format!("round {}: contesting batch {index}", self.id));
                    return self.contest(index, answer).await;
                }
                Some(Contest::Proven) => {
                    self.say(format!(
                        "round {}: batch {index} is proven on chain",
                        self.id
                    ));
                    self.change_batch(index as usize, |batch| {
                        batch.verdict = Some(Verdict::Proven);
                    })?;
                    self.change(|order| order.stopped = None)?;
                    return Ok(Step::Again);
                }
                _ => {}
            }
        }
        Ok(Step::Wait)
    }

    async fn contest(&self, index: u32, answer: &SignedPrediction) -> anyhow::Result<Step> {
        let (id, terms) = (self.id, &self.round.terms);
        let purpose = format!("contest round {id}/{index}");
        let fee = terms.contest_fee;
        let wallet = &self.buyer.wallet;
        wallet.allow(terms.token, fee, &purpose).await?;
        let call = RoundCall::Contest {
            id,
            prediction: answer.prediction(),
            signature: answer.signature,
            value: terms.wei(fee),
        };
        self.attempt(&purpose, call).await
    }

    /// The end, once it lies deep enough.
    async fn close(&self) -> anyhow::Result<Step> {
        let wallet = &self.buyer.wallet;
        let ended = wallet
            .chain()
            .round_at_depth(self.id, wallet.depth())
            .await?;
        let Some(round) = ended.filter(|round| round.state.is_terminal()) else {
            return Ok(Step::Wait);
        };
        let token = round.terms.token;
        let withdrawn = wallet
            .withdraw(token, &format!("round {}", self.id))
            .await?;
        let outcome = RoundOutcome {
            state: round.state,
            count: round.count,
            withdrawn,
        };
        self.change(|order| order.outcome = Some(outcome))?;
        Ok(Step::Over)
    }

    fn domain(&self) -> Domain {
        self.order.offer.domain
    }

    fn payment(&self, count: u32, digest: zknode_protocol::value::Hash) -> anyhow::Result<Payment> {
        Ok(Payment {
            version: Version,
            count,
            signature: self.buyer.key.sign(digest)?,
        })
    }

    /// Sends what the seller may have done in the meantime.
    async fn attempt(&self, purpose: &str, call: RoundCall) -> anyhow::Result<Step> {
        let call = Call::Round(Box::new(call));
        match self.buyer.wallet.execute(purpose, &call).await {
            Ok(receipt) => {
                let gas = receipt.gas;
                self.say(format!("{purpose}: done, {gas} gas"));
                Ok(Step::Again)
            }
            Err(ChainError::Revert { .. }) => Ok(Step::Wait),
            Err(error) => Err(error.into()),
        }
    }

    fn say(&self, words: impl AsRef<str>) {
        self.buyer.progress.say(words);
    }

    fn change(&self, change: impl FnOnce(&mut Order)) -> anyhow::Result<()> {
        self.buyer.change_order(self.id, change)
    }

    fn change_batch(
        &self,
        index: usize,
        change: impl FnOnce(&mut OrderedBatch),
    ) -> anyhow::Result<()> {
        self.change(|order| {
            if let Some(batch) = order.batches.get_mut(index) {
                change(batch);
            }
        })
    }
}

/// What a look at the proofs came to.
#[derive(Default)]
struct Audited {
    /// There is a verdict that was not there before.
    found: bool,
    /// Why not all were looked at.
    trouble: Option<anyhow::Error>,
}

impl Audited {
    /// Nothing else is to be done: look again after a pause, a longer one where there was trouble.
    fn wait(self) -> anyhow::Result<Step> {
        self.trouble.map_or(Ok(Step::Wait), Err)
    }
}

/// No proof is awaited any more, and none was refused.
fn all_proven(order: &Order) -> bool {
    let batches = &order.batches;
    !batches
        .iter()
        .any(|batch| is_pending(batch) || is_doubted(batch))
}

/// In random order, so that the seller cannot tell which comes first.
fn shuffled(
    order: &Order,
    wanted: impl Fn(&OrderedBatch) -> bool,
) -> impl Iterator<Item = (u32, &OrderedBatch)> {
    let batches = (0u32..).zip(&order.batches);
    let mut found: Vec<_> = batches.filter(|(_, batch)| wanted(batch)).collect();
    found.shuffle(&mut OsRng);
    found.into_iter()
}

/// Whether a proof that has not come so far is asked for on chain, with `left` seconds of the window.
fn is_late(left: Option<u64>, window: u32) -> bool {
    left.is_some_and(|left| left <= u64::from(window) / 2)
}

/// How many contests may be open at once, with `left` seconds of the window: a few at first, as a seller that cannot answer
/// one loses all; in the last quarter any number, as none can be made later. None once the window is over.
fn most_contests(left: Option<u64>, window: u32) -> u32 {
    match left {
        None => 0,
        Some(left) if left > u64::from(window) / 4 => FEW_CONTESTS,
        Some(_) => u32::MAX,
    }
}

/// Whether its proof did not come, or is none.
fn is_doubted(batch: &OrderedBatch) -> bool {
    matches!(batch.verdict, Some(Verdict::Doubted(_)))
}

/// Whether a proof is wanted that was not looked at yet.
fn is_pending(batch: &OrderedBatch) -> bool {
    batch.audit && batch.answer.is_some() && batch.verdict.is_none()
}

/// The first classes of a batch.
fn words(labels: &[u16]) -> String {
    const SHOWN: usize = 16;
    let shown = labels.iter().take(SHOWN).map(u16::to_string);
    let shown: Vec<_> = shown.collect();
    let more = labels.len().saturating_sub(SHOWN);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("classes {}{rest}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{is_late, most_contests, FEW_CONTESTS};

    #[test]
    fn few_contests_first_and_all_before_the_window_ends() {
        let most = |left| (is_late(left, 1000), most_contests(left, 1000));
        assert_eq!(most(Some(1000)), (false, FEW_CONTESTS));
        assert_eq!(most(Some(501)), (false, FEW_CONTESTS));
        assert_eq!(most(Some(500)), (true, FEW_CONTESTS));
        assert_eq!(most(Some(251)), (true, FEW_CONTESTS));
        assert_eq!(most(Some(250)), (true, u32::MAX));
        assert_eq!(most(Some(0)), (true, u32::MAX));
        assert_eq!(most(None), (false, 0));
    }
}
