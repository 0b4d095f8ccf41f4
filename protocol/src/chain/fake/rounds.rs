//! Rounds of predictions on the fake chain: the escrow, its one contract that keeps money, stands for theirs too.

use super::{
    world::{refusal, Done, Refusal, Setting, World},
    FakeChain,
};
use crate::{
    agreement::{Effect, ShardCount},
    chain::{key::recover, ChainError, Model, RoundCall, RoundChain, ShardProof},
    digest::points_digest,
    round::{
        message::Domain, round_id, step, Action, Contest, Event, Prediction, Round, RoundError,
        RoundId,
    },
    value::{AgreementId, Amount, Hash},
};

impl From<RoundError> for Refusal {
    fn from(rule: RoundError) -> Self {
        Self {
            name: rule.name(),
            detail: rule.to_string(),
        }
    }
}

impl RoundChain for FakeChain {
    async fn round_at_depth(&self, id: RoundId, depth: u64) -> Result<Option<Round>, ChainError> {
        let shared = self.request()?;
        let number = shared.newest().block.number.saturating_sub(depth);
        let record = shared.world_at(number).rounds.get(&id);
        Ok(record.map(|record| record.round.clone()))
    }

    async fn contest_of(&self, digest: Hash) -> Result<Option<Contest>, ChainError> {
        let shared = self.request()?;
        let world = &shared.newest().world;
        let domain = Domain {
            chain_id: self.chain_id,
            contract: world.contracts.escrow,
        };
        let named = |id, prediction| domain.prediction_digest(id, prediction) == digest;
        Ok(world.rounds.iter().find_map(|(id, record)| {
            let mut contests = record.contests.iter();
            let found = contests.find(|(prediction, _)| named(*id, prediction));
            found.map(|(_, contest)| *contest)
        }))
    }
}

impl World {
    /// The calls that [`step`] judges.
    pub(super) fn play(&mut self, call: &RoundCall, at: Setting) -> Done {
        let (id, action) = self.act(call, at)?;
        let event = Event { by: at.by, action };
        let (after, effects) = step(self.rounds.get(&id), &event, at.now)?;
        let (from, token) = (at.by, after.round.terms.token);
        let amount = effects.deposit;
        let mut booked = vec![];
        if amount != Amount::ZERO {
            self.take(from, token, amount)?;
            booked.push(Effect::Deposit {
                from,
                token,
                amount,
            });
        }
        let credits = [
            (after.round.buyer, effects.to_buyer),
            (after.round.seller, effects.to_seller),
        ];
        let credits = credits
            .into_iter()
            .filter(|(_, amount)| *amount != Amount::ZERO);
        booked.extend(credits.map(|(to, amount)| Effect::Credit { to, token, amount }));
        self.ledger.apply(&booked)?;
        self.rounds.insert(id, after);
        Ok((None, vec![]))
    }

    fn act(&self, call: &RoundCall, at: Setting) -> Result<(RoundId, Action), Refusal> {
        let (chain_id, contract) = (at.chain_id, self.contracts.escrow);
        let domain = Domain { chain_id, contract };
        Ok(match call {
            RoundCall::Deploy { .. } => return Err(refusal("", "the escrow stands for it")),
            RoundCall::Open { nonce, terms } => {
                let deposit = terms.deposit();
                let deposit = deposit.ok_or_else(|| refusal("", "the price is above 2^128"))?;
                let action = Action::Open {
                    terms: terms.clone(),
                    model: self.models.get(&terms.model).map(Model::facts),
                    token_has_code: self.code.contains_key(&terms.token),
                    value: terms.wei(deposit),
                };
                (round_id(chain_id, contract, at.by, *nonce, terms), action)
            }
            RoundCall::Cancel(id) => (*id, Action::Cancel),
            RoundCall::Accept { id, value } => (*id, Action::Accept { value: *value }),
            RoundCall::Close {
                id,
                count,
                signature,
            } => {
                let signature = signature.as_ref();
                let digest = domain.voucher_digest(*id, *count);
                let signer = signature.and_then(|signature| recover(digest, signature).ok());
                let count = *count;
                (*id, Action::Close { count, signer })
            }
            RoundCall::Approve {
                id,
                count,
                signature,
            } => {
                let signature = signature.as_ref();
                let digest = domain.approval_digest(*id, *count);
                let signer = signature.and_then(|signature| recover(digest, signature).ok());
                let count = *count;
                (*id, Action::Approve { count, signer })
            }
            RoundCall::Contest {
                id,
                prediction,
                signature,
                value,
            } => {
                let digest = domain.prediction_digest(*id, prediction);
                let action = Action::Contest {
                    prediction: *prediction,
                    signer: recover(digest, signature).ok(),
                    value: *value,
                };
                (*id, action)
            }
            RoundCall::Answer {
                id,
                index,
                valid,
                model_points,
                shard_points,
                proof,
            } => {
                let count = ShardCount {
                    index: *index,
                    valid: *valid,
                    top1: *valid,
                    topk: *valid,
                };
                let proof = ShardProof {
                    id: AgreementId(id.0),
                    shard: count,
                    model_points: model_points.clone(),
                    shard_points: shard_points.clone(),
                    path: vec![],
                    proof: proof.clone(),
                };
                let record = self.rounds.get(id);
                let model = record.and_then(|record| self.models.get(&record.round.terms.model));
                let registered = model.map(|model| model.points);
                let accepted =
                    registered == Some(points_digest(model_points)) && (at.judge)(&proof);
                let action = Action::Answer {
                    prediction: Prediction::new(*index, *valid, shard_points),
                    accepted,
                };
                (*id, action)
            }
            RoundCall::Expire(id) => (*id, Action::Expire),
        })
    }
}
