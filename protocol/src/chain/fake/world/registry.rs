//! Models and their stakes.

use super::{refusal, Done, Refusal, Setting, World};
use crate::{
    agreement::RuleError,
    chain::{ChainEvent, Model, Registration},
    deal::{DealError, NOTICE_PERIOD},
    digest::{model_id, points_digest, ModelKey},
    value::{Address, Amount, ModelId},
};

impl World {
    pub(super) fn register(&mut self, registration: &Registration, at: Setting) -> Done {
        let Registration {
            architecture,
            verifier,
            ref points,
            shard_points,
            stake,
            ..
        } = *registration;
        if stake == Amount::ZERO {
            return Err(refusal("NoStake", ""));
        }
        let Some(verifier_code) = self.code.get(&verifier).copied() else {
            return Err(refusal("VerifierWithoutCode", verifier));
        };
        if points.is_empty() {
            return Err(refusal("PointsLength", 0));
        }
        if shard_points == 0 {
            return Err(refusal("NoShardPoints", ""));
        }
        let nonce = self.model_nonces.entry(at.by).or_default();
        let points = points_digest(points);
        let model = model_id(&ModelKey {
            chain_id: at.chain_id,
            registry: self.contracts.registry,
            seller: at.by,
            nonce: *nonce,
            architecture,
            verifier,
            points,
            shard_points,
        });
        *nonce += 1;
        let left = self.balance(at.by).checked_sub(stake);
        self.balances
            .insert(at.by, left.ok_or_else(|| refusal("", "out of funds"))?);
        self.models.insert(
            model,
            Model {
                seller: at.by,
                stake,
                verifier,
                verifier_code,
                registered_block: at.now.block,
                retires_at: 0,
                architecture,
                points,
                shard_points,
            },
        );
        let event = ChainEvent::ModelRegistered {
            model,
            seller: at.by,
            registration: registration.clone(),
        };
        Ok((None, vec![event]))
    }

    fn own_model(&mut self, id: ModelId, by: Address) -> Result<&mut Model, Refusal> {
        let model = self
            .models
            .get_mut(&id)
            .ok_or(DealError::UnknownModel { model: id })?;
        let seller = model.seller;
        if seller == by {
            Ok(model)
        } else {
            Err(RuleError::OnlySeller { seller, caller: by }.into())
        }
    }

    pub(super) fn retire(&mut self, id: ModelId, at: Setting) -> Done {
        let model = self.own_model(id, at.by)?;
        if model.retires_at != 0 {
            return Err(refusal("AlreadyRetired", model.retires_at));
        }
        let retires_at = at.now.time.saturating_add(NOTICE_PERIOD);
        model.retires_at = retires_at;
        Ok((
            None,
            vec![ChainEvent::ModelRetired {
                model: id,
                retires_at,
            }],
        ))
    }

    pub(super) fn withdraw_stake(&mut self, id: ModelId, at: Setting) -> Done {
        let model = self.own_model(id, at.by)?;
        if model.retires_at == 0 {
            return Err(refusal("NotRetired", id));
        }
        if at.now.time <= model.retires_at {
            return Err(refusal("StakeLocked", model.retires_at));
        }
        if model.stake == Amount::ZERO {
            return Err(refusal("StakeAlreadyWithdrawn", id));
        }
        let amount = std::mem::take(&mut model.stake);
        self.pay(at.by, amount);
        Ok((None, vec![ChainEvent::StakeWithdrawn { model: id, amount }]))
    }
}
