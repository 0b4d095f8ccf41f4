//! A round of predictions, from the buyer's side: opens it, sends batch after batch with a voucher for those before, audits a
//! random share of the answers, contests what is not proven, approves what is. What is stored and what the chain says decide
//! the next step, so a crash at any point is the same as a pause.

use std::time::Duration;

use anyhow::{ensure, Context};
use rand::{rngs::OsRng, Rng};
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
    CheckedModel, Client, ClientError,
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

    /// Sees a round through to its end, for as long as that takes. The wallet's escrow is the predictions contract.
    pub async fn see_round_through(
        &self,
        id: RoundId,
        model: &CheckedModel,
    ) -> anyhow::Result<Order> {
        let order = self.order(id)?;
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
            return Ok(Step::Again);
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
        let audited = self.audit(false).await?;
        if let Step::Again = audited {
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
        if !self.all_proven() || self.order.approved.is_some() {
            return Ok(Step::Wait);
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
        let answer = self.client.predict(self.id, body).await?;
        if let Err(reason) = self.check_answer(number, &opening, &answer) {
            // Neither paid nor contested: it binds nobody to these inputs.
            let words = format!("batch {index}: {reason}");
            self.say(format!("round {}: {words}; no further batch", self.id));
            self.change(|order| order.stopped = Some(words))?;
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

    /// Looks at the proofs that are wanted, one request each. `last`: what has not come by now will not come.
    async fn audit(&self, last: bool) -> anyhow::Result<Step> {
        let (mut step, domain) = (Step::Wait, self.domain());
        for (index, batch) in (0u32..).zip(&self.order.batches) {
            let Some(answer) = batch.answer.as_ref().filter(|_| is_pending(batch)) else {
                continue;
            };
            let digest = domain.audit_digest(self.id, index);
            let request = AuditRequest {
                version: Version,
                signature: self.buyer.key.sign(digest)?,
            };
            let verdict = match self.client.batch_proof(self.id, index, &request).await {
                Ok(proof) => match proof.attestation {
                    Some(proof) => Some(self.verify(index, answer, &proof)?),
                    None if last => Some(Err("no proof in time".to_owned())),
                    None => None,
                },
                // Words about a proof that is to be had are a refusal; trouble on the way may pass.
                Err(error @ ClientError::Refused { status, .. }) if status < 500 => {
                    Some(Err(error.to_string()))
                }
                Err(error) if last => Some(Err(error.to_string())),
                Err(error) => return Err(error.into()),
            };
            let verdict = match verdict {
                None => continue,
                Some(Ok(())) => Verdict::Proven,
                Some(Err(reason)) => Verdict::Doubted(reason),
            };
            self.say(match &verdict {
                Verdict::Proven => format!("round {}: batch {index} audited, proven", self.id),
                Verdict::Doubted(reason) => {
                    format!("round {}: batch {index} is not proven: {reason}", self.id)
                }
            });
            if let Verdict::Doubted(reason) = &verdict {
                let words = format!("batch {index}: {reason}");
                self.change(|order| order.stopped = Some(words))?;
            }
            self.change_batch(index as usize, |batch| batch.verdict = Some(verdict))?;
            step = Step::Again;
        }
        Ok(step)
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
        // From the middle of the window on, a proof that has not come is asked for on chain.
        let half = u64::from(self.round.terms.window) / 2;
        let last = self.now.saturating_add(half) >= self.round.window_end;
        if let Step::Again = self.audit(last).await? {
            return Ok(Step::Again);
        }
        let domain = self.domain();
        for (index, batch) in (0u32..).zip(&self.order.batches) {
            let (Some(answer), Some(Verdict::Doubted(reason))) = (&batch.answer, &batch.verdict)
            else {
                continue;
            };
            let prediction = answer.prediction();
            let digest = domain.prediction_digest(self.id, &prediction);
            let chain = self.buyer.wallet.chain();
            match chain.contest_of(digest).await? {
                None if self.now <= self.round.window_end => {
                    self.say(format!(
                        "round {}: contesting batch {index}: {reason}",
                        self.id
                    ));
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
        if self.round.state != RoundState::Closed || !self.all_proven() {
            return Ok(Step::Wait);
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

    /// No proof is awaited any more, and none was refused.
    fn all_proven(&self) -> bool {
        let batches = &self.order.batches;
        !batches
            .iter()
            .any(|batch| is_pending(batch) || matches!(batch.verdict, Some(Verdict::Doubted(_))))
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
