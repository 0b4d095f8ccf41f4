//! The state of the fake chain and what one call does to it: registry, escrow and ledger over the pure rules.

use std::collections::BTreeMap;

use crate::{
    agreement::{agreement_id, step, Action, Agreement, Effect, Event, Ledger, RuleError, State},
    chain::{key::recover, Call, ChainEvent, Contracts, Model, Registration, ShardProof},
    deal::{sum, DealError, Moment, NOTICE_PERIOD},
    digest::{draw_seed, hash_words, keccak, model_id, points_digest, ModelKey},
    message::Domain,
    round::{Record, RoundId},
    shards::{ShardFacts, Verdict},
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId, Signature},
};

/// Why a call reverts: the contract's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub name: String,
    pub detail: String,
}

impl From<DealError> for Refusal {
    fn from(rule: DealError) -> Self {
        RuleError::from(rule).into()
    }
}

impl From<RuleError> for Refusal {
    fn from(rule: RuleError) -> Self {
        Self {
            name: rule.name(),
            detail: rule.to_string(),
        }
    }
}

pub(super) fn refusal(name: &str, detail: impl ToString) -> Refusal {
    Refusal {
        name: name.into(),
        detail: detail.to_string(),
    }
}

/// What surrounds one call.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub chain_id: u64,
    pub by: Address,
    pub nonce: u64,
    pub now: Moment,
    /// The verifier of this world.
    pub judge: fn(&ShardProof) -> bool,
}

/// Everything a block changes.
#[derive(Clone, Default)]
pub(super) struct World {
    pub contracts: Contracts,
    pub balances: BTreeMap<Address, Amount>,
    pub counts: BTreeMap<Address, u64>,
    pub code: BTreeMap<Address, Hash>,
    pub models: BTreeMap<ModelId, Model>,
    pub agreements: BTreeMap<AgreementId, Agreement>,
    pub rounds: BTreeMap<RoundId, Record>,
    pub ledger: Ledger,
    tokens: BTreeMap<Address, Token>,
    model_nonces: BTreeMap<Address, u64>,
    agreement_nonces: BTreeMap<Address, u64>,
}

/// An ERC-20 as far as the escrow notices: everybody has enough of it, allowances are kept.
#[derive(Clone, Default)]
struct Token {
    strict: bool,
    allowances: BTreeMap<Address, Amount>,
}

/// The contract created, and what was logged.
pub(super) type Done = Result<(Option<Address>, Vec<ChainEvent>), Refusal>;

impl World {
    pub fn balance(&self, account: Address) -> Amount {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// Transactions an account ever made.
    pub fn count(&self, account: Address) -> u64 {
        self.counts.get(&account).copied().unwrap_or_default()
    }

    pub fn create_token(&mut self, token: Address, strict: bool) {
        self.code.insert(token, keccak(&token.0));
        let allowances = BTreeMap::new();
        self.tokens.insert(token, Token { strict, allowances });
    }

    /// What the escrow may take of `owner`'s tokens; `None` for no token.
    pub fn allowance(&self, token: Address, owner: Address) -> Option<Amount> {
        let allowances = &self.tokens.get(&token)?.allowances;
        Some(allowances.get(&owner).copied().unwrap_or_default())
    }

    fn approve(&mut self, token: Address, owner: Address, amount: Amount) -> Result<(), Refusal> {
        let found = self.tokens.get_mut(&token);
        let token = found.ok_or(DealError::TokenWithoutCode { token })?;
        let allowed = token.allowances.entry(owner).or_default();
        if token.strict && *allowed != Amount::ZERO && amount != Amount::ZERO {
            return Err(refusal("", "set the allowance to zero first"));
        }
        *allowed = amount;
        Ok(())
    }

    /// Takes what an agreement deposits out of the depositor's wallet.
    pub(super) fn take(
        &mut self,
        from: Address,
        token: Address,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let left = if token == Address::ZERO {
            self.balance(from).checked_sub(amount)
        } else {
            let allowed = self.allowance(token, from).unwrap_or_default();
            allowed.checked_sub(amount)
        };
        let left = left.ok_or_else(|| refusal("", "out of funds"))?;
        match self.tokens.get_mut(&token) {
            Some(token) => token.allowances.insert(from, left),
            None => self.balances.insert(from, left),
        };
        Ok(())
    }

    /// Executes a call. The caller throws the world away when it is refused.
    pub fn execute(&mut self, call: &Call, at: Setting, hashes: &BTreeMap<u64, Hash>) -> Done {
        match call {
            Call::DeployRegistry => {
                let address = self.create(at, b"registry");
                self.contracts.registry = address;
                Ok((Some(address), vec![]))
            }
            Call::DeployEscrow { .. } => {
                let address = self.create(at, b"escrow");
                self.contracts.escrow = address;
                Ok((Some(address), vec![]))
            }
            Call::DeployVerifier { creation_code } => {
                Ok((Some(self.create(at, &creation_code.0)), vec![]))
            }
            Call::Register(registration) => self.register(registration, at),
            Call::Retire(id) => self.retire(*id, at),
            Call::WithdrawStake(id) => self.withdraw_stake(*id, at),
            Call::Nothing => Ok((None, vec![])),
            Call::Round(call) => self.play(call, at),
            // There is no such contract on this chain.
            Call::Retrieval(_) => Err(refusal("", "no retrieval contract here")),
            Call::ApproveToken { token, amount } => {
                self.approve(*token, at.by, *amount)?;
                Ok((None, vec![]))
            }
            Call::Withdraw { token } => {
                let amount = self.ledger.withdraw(at.by, *token)?;
                if *token == Address::ZERO {
                    self.pay(at.by, amount);
                }
                let (account, token) = (at.by, *token);
                Ok((
                    None,
                    vec![ChainEvent::Withdrawn {
                        account,
                        token,
                        amount,
                    }],
                ))
            }
            _ => self.agree(call, at, hashes),
        }
    }

    /// The calls that [`step`] judges.
    fn agree(&mut self, call: &Call, at: Setting, hashes: &BTreeMap<u64, Hash>) -> Done {
        let (id, action) = self.action(call, at, hashes)?;
        let before = self.agreements.get(&id);
        let event = Event { by: at.by, action };
        let (after, effects) = step(before, &event, at.now)?;
        self.ledger.apply(&effects)?;
        let mut events = logged(id, call, &after, self.agreement_nonces.get(&at.by).copied());
        for effect in effects {
            match effect {
                Effect::Deposit {
                    from,
                    token,
                    amount,
                } => self.take(from, token, amount)?,
                Effect::Credit {
                    to: account,
                    token,
                    amount,
                } => {
                    events.push(ChainEvent::Credited {
                        account,
                        token,
                        amount,
                    });
                }
            }
        }
        if matches!(call, Call::Open(_)) {
            *self.agreement_nonces.entry(at.by).or_default() += 1;
        }
        self.agreements.insert(id, after);
        Ok((None, events))
    }

    fn action(
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

    fn create(&mut self, at: Setting, code: &[u8]) -> Address {
        let name = hash_words(&[at.by.into(), at.nonce.into()]);
        let mut address = Address::ZERO;
        address.0.copy_from_slice(&name.0[12..]);
        if !code.is_empty() {
            self.code.insert(address, keccak(code));
        }
        address
    }

    fn register(&mut self, registration: &Registration, at: Setting) -> Done {
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

    fn retire(&mut self, id: ModelId, at: Setting) -> Done {
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

    fn withdraw_stake(&mut self, id: ModelId, at: Setting) -> Done {
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

    fn pay(&mut self, to: Address, amount: Amount) {
        let balance = self.balances.entry(to).or_default();
        *balance = Amount(balance.0.saturating_add(amount.0));
    }
}

/// The escrow's events for a call it accepted, payments aside.
fn logged(id: AgreementId, call: &Call, after: &Agreement, nonce: Option<u64>) -> Vec<ChainEvent> {
    let first = match call {
        Call::Open(terms) => ChainEvent::Opened {
            id,
            buyer: after.buyer,
            seller: after.seller,
            nonce: nonce.unwrap_or_default(),
            terms: terms.clone(),
        },
        Call::Accept { .. } => ChainEvent::Accepted {
            id,
            draw_block: after.draw_block,
        },
        Call::Cancel(_) => ChainEvent::Cancelled(id),
        Call::Draw(_) => ChainEvent::Drawn {
            id,
            seed: after.seed,
        },
        Call::Send { ciphertext, .. } => ChainEvent::Sent {
            id,
            ciphertext: *ciphertext,
        },
        Call::Proceed { ciphertext, .. } => ChainEvent::Proceeded {
            id,
            ciphertext: *ciphertext,
        },
        Call::Decline(_) => ChainEvent::Declined(id),
        Call::Deny(_) => ChainEvent::Denied(id),
        Call::Claim { top1, topk, .. } => ChainEvent::Claimed {
            id,
            claim: after.claim,
            top1: *top1,
            topk: *topk,
            window_end: after.window_end,
        },
        Call::Approve { .. } => ChainEvent::Approved(id),
        Call::Contest { index, .. } => ChainEvent::Contested {
            id,
            index: *index,
            answer_by: after.deadline,
        },
        Call::ProveShard(proof) | Call::Answer { proof, .. } => ChainEvent::ShardProven {
            id,
            shard: proof.shard,
        },
        Call::Expire(_) => return expired(id, after),
        _ => ChainEvent::Acknowledged {
            id,
            ciphertext: after.ciphertext,
        },
    };
    let settled = (after.state == State::Settled).then(|| settled(id, after));
    std::iter::once(first).chain(settled).collect()
}

fn settled(id: AgreementId, after: &Agreement) -> ChainEvent {
    ChainEvent::Settled {
        id,
        correct: after.correct,
        passed: after.passed(),
    }
}

fn expired(id: AgreementId, after: &Agreement) -> Vec<ChainEvent> {
    vec![match after.state {
        State::Cancelled => ChainEvent::Cancelled(id),
        State::Declined => ChainEvent::Declined(id),
        State::Forfeited => ChainEvent::Forfeited(id),
        State::Settled => settled(id, after),
        _ => ChainEvent::Slashed(id),
    }]
}

/// A name no other block has.
pub(super) fn block_hash(parent: Hash, number: u64, salt: u64) -> Hash {
    hash_words(&[
        parent.into(),
        number.into(),
        salt.into(),
        Bytes([0xb1; 32]).into(),
    ])
}
