//! The rules: one function per event, each a list of checks in the contract's order and then one change.
//!
//! By topic: [`open`], [`delivery`] (from acceptance to the receipt), [`count`] (claims and proofs), [`ends`] (defaults
//! and who gets what).

mod count;
mod delivery;
mod ends;
mod open;

use super::{Agreement, Metric, Mode, RuleError, State, Terms};
use crate::{
    claim_tree::SumNode,
    deal::{in_time, signed, ModelFacts, Moment},
    shards::{in_range, ShardError, ShardFacts},
    value::{Address, Amount, Hash},
};

use open::open;

/// One transaction to the escrow: who sends it, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The sender.
    pub by: Address,
    /// The request.
    pub action: Action,
}

/// What a transaction asks for, with the facts of the outside world it is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open an agreement and deposit the price.
    Open {
        /// The offer.
        terms: Terms,
        /// What the registry holds under `terms.model`.
        model: Option<ModelFacts>,
        /// Whether `terms.token` has code; not asked for ether.
        token_has_code: bool,
        /// Wei sent.
        value: Amount,
    },
    /// The buyer takes an offer back that nobody accepted.
    Cancel,
    /// Lock the bond.
    Accept {
        /// Wei sent.
        value: Amount,
    },
    /// Anyone records the draw.
    Draw {
        /// What the chain computes for it ([`crate::digest::draw_seed`]).
        seed: Hash,
    },
    /// The buyer puts on record that it handed over the preview, or the rest.
    Send,
    /// The seller has the preview and goes on.
    Proceed {
        /// Who signed the receipt, if anybody did.
        signer: Option<Address>,
    },
    /// The seller holds the opened test set.
    Acknowledge {
        /// Hash of the delivered ciphertext.
        ciphertext: Hash,
        /// Who signed the receipt, if anybody did.
        signer: Option<Address>,
    },
    /// The seller goes away before its receipt.
    Decline,
    /// The seller says that what the buyer calls sent did not come or is no good.
    Deny,
    /// The seller says how many are correct.
    Claim {
        /// Hash of the top node of its tree.
        node: Hash,
        /// Correct at the first place, in all.
        top1: u32,
        /// Correct among the first k places, in all.
        topk: u32,
    },
    /// The buyer takes the claim as it is.
    Approve {
        /// Who signed the approval, if anybody did.
        signer: Option<Address>,
    },
    /// The buyer wants the proof of this shard on chain.
    Contest {
        /// Which.
        index: u32,
        /// Wei sent.
        value: Amount,
    },
    /// Brings the proof of a contested shard.
    Answer {
        /// What is brought.
        shard: ShardFacts,
        /// Keccak-256 of the proof.
        proof: Hash,
        /// Siblings in the claim's tree, from the leaf up.
        path: Vec<SumNode>,
    },
    /// Eager mode: count one proven shard; the last one settles.
    ProveShard(ShardFacts),
    /// After the deadline of its state: what this state comes to when nobody does anything.
    Expire,
}

/// Money that an accepted event moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// From a wallet into the escrow.
    Deposit {
        /// Who pays.
        from: Address,
        /// In what.
        token: Address,
        /// How much.
        amount: Amount,
    },
    /// From the escrow's deposits to an account's credit, to be withdrawn.
    Credit {
        /// Who may withdraw it.
        to: Address,
        /// In what.
        token: Address,
        /// How much.
        amount: Amount,
    },
}

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

/// An agreement, the sender of a transaction, and when.
struct Case {
    agreement: Agreement,
    by: Address,
    now: Moment,
}

impl Case {
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
        Ok(signed(self.by, must, signer)?)
    }

    fn in_time(&self) -> Result<(), RuleError> {
        Ok(in_time(self.agreement.deadline, self.now.time)?)
    }

    fn in_range(&self, index: u32) -> Result<(), RuleError> {
        Ok(in_range(index, self.agreement.terms.shards)?)
    }

    fn not_proven(&self, index: u32) -> Result<(), RuleError> {
        require(!self.agreement.proven.contains(&index), || {
            ShardError::ShardAlreadyProven { index }.into()
        })
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> RuleError) -> Result<(), RuleError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}
