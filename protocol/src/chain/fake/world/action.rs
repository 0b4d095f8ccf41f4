//! What the rules are asked about a call to the escrow.

use std::collections::BTreeMap;

use super::{refusal, Refusal, Setting, World};
use crate::{
    agreement::{agreement_id, Action},
    chain::{key::recover, Call, Model, ShardProof},
    deal::sum,
    digest::{draw_seed, keccak, points_digest},
    message::Domain,
    shards::{ShardFacts, Verdict},
    value::{AgreementId, Hash, Signature},
};

impl World {
    pub(super) fn action(
        &self,
        call: &Call,
        at: Setting,
        hashes: &BTreeMap<u64, Hash>,
    ) -> Result<(AgreementId, Action), Refusal> {
        let domain = Domain {
            chain_id: at.chain_id,
            escrow: self.contracts.escrow,
        };
        let signer = |digest, signature: &Option<Signature>| {
            let signature = signature.as_ref()?;
            recover(digest, signature).ok()
        };
        Ok(match call {
            Call::Open(terms) => {
                let nonce = self
                    .agreement_nonces
                    .get(&at.by)
                    .copied()
                    .unwrap_or_default();
                let id = agreement_id(at.chain_id, self.contracts.escrow, at.by, nonce, terms);
                let deposit = sum([terms.price, terms.buyer_bond])?;
                let action = Action::Open {
                    terms: terms.clone(),
                    model: self.models.get(&terms.model).map(Model::facts),
                    token_has_code: self.code.contains_key(&terms.token),
                    value: terms.wei(deposit),
                };
                (id, action)
            }
            Call::Accept { id, value } => (*id, Action::Accept { value: *value }),
            Call::Cancel(id) => (*id, Action::Cancel),
            Call::Draw(id) => {
                let agreement = self.agreements.get(id);
                let block = agreement.and_then(|agreement| hashes.get(&agreement.draw_block));
                let seed = draw_seed(block.copied().unwrap_or_default(), *id);
                (*id, Action::Draw { seed })
            }
            Call::Send { id, .. } => (*id, Action::Send),
            Call::Proceed {
                id,
                ciphertext,
                signature,
            } => {
                let signer = signer(domain.preview_digest(*id, *ciphertext), signature);
                (*id, Action::Proceed { signer })
            }
            Call::Acknowledge {
                id,
                ciphertext,
                signature,
            } => {
                let signer = signer(domain.receipt_digest(*id, *ciphertext), signature);
                let ciphertext = *ciphertext;
                (*id, Action::Acknowledge { ciphertext, signer })
            }
            Call::Decline(id) => (*id, Action::Decline),
            Call::Deny(id) => (*id, Action::Deny),
            Call::Claim {
                id,
                node,
                top1,
                topk,
            } => {
                let (node, top1, topk) = (*node, *top1, *topk);
                (*id, Action::Claim { node, top1, topk })
            }
            Call::Approve { id, signature } => {
                let claim = self.agreements.get(id).map(|agreement| agreement.claim);
                let digest = domain.approval_digest(*id, claim.unwrap_or_default());
                let signer = signer(digest, signature);
                (*id, Action::Approve { signer })
            }
            Call::Contest { id, index, value } => {
                let (index, value) = (*index, *value);
                (*id, Action::Contest { index, value })
            }
            Call::Answer { proof, path } => {
                let action = Action::Answer {
                    shard: self.facts(proof, at),
                    proof: keccak(&proof.proof.0),
                    path: path.clone(),
                };
                (proof.id, action)
            }
            Call::ProveShard(proof) => (proof.id, Action::ProveShard(self.facts(proof, at))),
            Call::Expire(id) => (*id, Action::Expire),
            _ => return Err(refusal("", "not a call to the escrow")),
        })
    }

    fn facts(&self, proof: &ShardProof, at: Setting) -> ShardFacts {
        let agreement = self.agreements.get(&proof.id);
        let model = agreement.and_then(|agreement| self.models.get(&agreement.terms.model));
        ShardFacts {
            shard: proof.shard,
            registered_points: model.map(|model| model.points).unwrap_or_default(),
            model_points: points_digest(&proof.model_points),
            registered_length: model.map(|model| model.shard_points).unwrap_or_default(),
            length: proof.shard_points.len(),
            shard_points: points_digest(&proof.shard_points),
            path: proof.path.clone(),
            verdict: if (at.judge)(proof) {
                Verdict::Accepted
            } else {
                Verdict::Rejected
            },
        }
    }
}
