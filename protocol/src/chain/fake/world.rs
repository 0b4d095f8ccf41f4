//! The state of the fake chain and what one call does to it: registry, escrow and ledger over the pure rules.

use std::collections::BTreeMap;

use crate::{
    agreement::{
        step, Action, Agreement, Effect, Event, Ledger, Moment, RuleError, State, Verdict,
        NOTICE_PERIOD,
    },
    chain::{key::recover, Call, ChainEvent, Contracts, Model, Registration, ShardProof},
    digest::{agreement_id, hash_words, keccak, model_id, points_digest, ModelKey},
    message::Domain,
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId},
};

/// Why a call reverts: the contract's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub name: String,
    pub detail: String,
}

impl From<RuleError> for Refusal {
    fn from(rule: RuleError) -> Self {
        Self {
            name: rule.name(),
            detail: rule.to_string(),
        }
    }
}

fn refusal(name: &str, detail: impl ToString) -> Refusal {
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
        let token = found.ok_or(RuleError::TokenWithoutCode { token })?;
        let allowed = token.allowances.entry(owner).or_default();
        if token.strict && *allowed != Amount::ZERO && amount != Amount::ZERO {
            return Err(refusal("", "set the allowance to zero first"));
        }
        *allowed = amount;
        Ok(())
    }

    /// Takes what an agreement deposits out of the depositor's wallet.
    fn take(&mut self, from: Address, token: Address, amount: Amount) -> Result<(), Refusal> {
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
    pub fn execute(&mut self, call: &Call, at: Setting) -> Done {
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
            _ => self.agree(call, at),
        }
    }

    /// The calls that [`step`] judges.
    fn agree(&mut self, call: &Call, at: Setting) -> Done {
        let (id, action) = self.action(call, at)?;
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

    fn action(&self, call: &Call, at: Setting) -> Result<(AgreementId, Action), Refusal> {
        Ok(match call {
            Call::Open(terms) => {
                let nonce = self
                    .agreement_nonces
                    .get(&at.by)
                    .copied()
                    .unwrap_or_default();
                let id = agreement_id(at.chain_id, self.contracts.escrow, at.by, nonce, terms);
                let action = Action::Open {
                    terms: terms.clone(),
                    model: self.models.get(&terms.model).map(Model::facts),
                    token_has_code: self.code.contains_key(&terms.token),
                    value: terms.wei(terms.price),
                };
                (id, action)
            }
            Call::Accept { id, value } => (*id, Action::Accept { value: *value }),
            Call::Cancel(id) => (*id, Action::Cancel),
            Call::Decline(id) => (*id, Action::Decline),
            Call::Slash(id) => (*id, Action::Slash),
            Call::Acknowledge { id, ciphertext } => (
                *id,
                Action::Acknowledge {
                    ciphertext: *ciphertext,
                },
            ),
            Call::AcknowledgeBySignature {
                id,
                ciphertext,
                signature,
            } => {
                let domain = Domain {
                    chain_id: at.chain_id,
                    escrow: self.contracts.escrow,
                };
                let signer = recover(domain.receipt_digest(*id, *ciphertext), signature).ok();
                (
                    *id,
                    Action::AcknowledgeBySignature {
                        ciphertext: *ciphertext,
                        signer,
                    },
                )
            }
            Call::ProveShard(proof) => (proof.id, self.shard_action(proof, at)),
            _ => return Err(refusal("", "not a call to the escrow")),
        })
    }

    fn shard_action(&self, proof: &ShardProof, at: Setting) -> Action {
        let model = self
            .agreements
            .get(&proof.id)
            .and_then(|a| self.models.get(&a.terms.model));
        Action::ProveShard {
            shard: proof.shard,
            registered_points: model.map(|model| model.points).unwrap_or(Hash::ZERO),
            model_points: points_digest(&proof.model_points),
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
            .ok_or(RuleError::UnknownModel { model: id })?;
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
        Call::Accept { .. } => ChainEvent::Accepted(id),
        Call::Cancel(_) => ChainEvent::Cancelled(id),
        Call::Decline(_) => ChainEvent::Declined(id),
        Call::Slash(_) => ChainEvent::Slashed(id),
        Call::ProveShard(proof) => ChainEvent::ShardProven {
            id,
            shard: proof.shard,
        },
        _ => ChainEvent::Acknowledged {
            id,
            ciphertext: after.ciphertext,
        },
    };
    let settled = (after.state == State::Settled).then(|| ChainEvent::Settled {
        id,
        correct: after.correct,
        passed: after.passed(),
    });
    std::iter::once(first).chain(settled).collect()
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
