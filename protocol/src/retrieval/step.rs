//! The rules, as the contract has them: what may happen in which state, by whom, until when, and what it leads to.

use thiserror::Error;

use super::{Payout, Retrieval, State, Terms};
use crate::{
    agreement::NOTICE_PERIOD,
    claim_tree::{SumNode, Sums},
    value::{Address, Amount, Hash},
};

/// What a transaction asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The requester takes an offer back that nobody accepted.
    Cancel,
    /// The responder locks its bond.
    Accept {
        /// What it brings.
        deposit: Amount,
    },
    /// The responder says how many items match.
    Claim {
        /// Hash of the top node of its tree.
        node: Hash,
        /// Items that match.
        top1: u32,
        /// Items within the top k: part of the sums.
        topk: u32,
        /// Hash of the sealed items.
        ciphertext: Hash,
    },
    /// The requester has the items.
    Approve {
        /// Who signed the approval, if anybody did.
        signer: Option<Address>,
    },
    /// The requester wants a shard's proof on chain.
    Contest {
        /// Whether there is such a shard, not contested before.
        index: u32,
        /// It was contested before.
        again: bool,
        /// What it brings.
        deposit: Amount,
    },
    /// A contested shard's proof, which verifier and roots accept.
    Answer,
    /// The requester says that the items did not come or do not open.
    Reject,
    /// After the deadline of its state.
    Expire,
}

/// Why something does not happen: the contract's error of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RetrievalError {
    /// Not in this state.
    #[error("nothing of the kind happens in state {0:?}")]
    WrongState(State),
    /// Not by this caller.
    #[error("only the requester {expected} may do this, not {found}")]
    OnlyRequester {
        /// The requester.
        expected: Address,
        /// The caller.
        found: Address,
    },
    /// Not by this caller.
    #[error("only the responder {expected} may do this, not {found}")]
    OnlyResponder {
        /// The responder.
        expected: Address,
        /// The caller.
        found: Address,
    },
    /// Neither the requester nor signed by it.
    #[error("this needs the signature of {0}")]
    NotSigned(Address),
    /// After the deadline.
    #[error("the deadline was {deadline}, it is {now}")]
    TooLate {
        /// Last second.
        deadline: u64,
        /// The time.
        now: u64,
    },
    /// Before it.
    #[error("the deadline is {deadline}, it is {now}: not yet")]
    TooEarly {
        /// Last second.
        deadline: u64,
        /// The time.
        now: u64,
    },
    /// More than there are items.
    #[error("a claim of {found} of {samples} items")]
    ClaimAboveSamples {
        /// Items.
        samples: u32,
        /// Claimed.
        found: u32,
    },
    /// No such shard.
    #[error("there are {shards} shards, not shard {index}")]
    ShardOutOfRange {
        /// The shard.
        index: u32,
        /// Shards.
        shards: u32,
    },
    /// Contested before.
    #[error("shard {0} was contested before")]
    ShardAlreadyContested(u32),
    /// A deposit of another amount.
    #[error("expected a deposit of {expected}, found {found}")]
    WrongValue {
        /// Asked for.
        expected: Amount,
        /// Brought.
        found: Amount,
    },
    /// Shards without items, or none.
    #[error("{shards} shards of {samples} items: expected 1 <= shards <= items")]
    ShardsOutOfRange {
        /// Shards.
        shards: u32,
        /// Items.
        samples: u32,
    },
    /// A bond that a rejection would not find.
    #[error("the bond must be {expected} at least, what all items may cost and the requester's bond; found {found}")]
    BondTooSmall {
        /// The least.
        expected: Amount,
        /// Offered.
        found: Amount,
    },
    /// Sums past 2^128.
    #[error("the amounts add up past 2^128")]
    TooMuch,
    /// Deadlines that leave no time.
    #[error("expected now < accept by < claim by, found {now}, {accept_by}, {claim_by}")]
    DeadlinesOutOfOrder {
        /// The time.
        now: u64,
        /// Last second to accept.
        accept_by: u64,
        /// Last second to claim.
        claim_by: u64,
    },
    /// A claim that nobody could judge in time.
    #[error("window, prove time and receipt time must not be zero")]
    NoTimeToJudge,
    /// Longer than the stake outlives.
    #[error("the last second {last} is after {latest}, up to which the model's stake is sure to be there")]
    TooLong {
        /// The last second.
        last: u64,
        /// The latest allowed.
        latest: u64,
    },
}

/// What an action led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The retrieval afterwards.
    pub after: Retrieval,
    /// What was credited by it.
    pub paid: Payout,
}

impl Terms {
    /// What `open` asks of terms, but for the model and the token.
    pub fn check(&self, now: u64) -> Result<(), RetrievalError> {
        let last = self.last_second();
        let latest = now.saturating_add(NOTICE_PERIOD);
        if last > latest {
            return Err(RetrievalError::TooLong { last, latest });
        }
        let (shards, samples) = (self.shards, self.samples);
        if shards == 0 || shards > samples {
            return Err(RetrievalError::ShardsOutOfRange { shards, samples });
        }
        let least = self.least_bond().ok_or(RetrievalError::TooMuch)?;
        self.deposit().ok_or(RetrievalError::TooMuch)?;
        if self.bond < least {
            return Err(RetrievalError::BondTooSmall {
                expected: least,
                found: self.bond,
            });
        }
        let (accept_by, claim_by) = (self.accept_by, self.claim_by);
        if now >= accept_by || accept_by >= claim_by {
            return Err(RetrievalError::DeadlinesOutOfOrder {
                now,
                accept_by,
                claim_by,
            });
        }
        if [self.window, self.prove_time, self.receipt_time].contains(&0) {
            return Err(RetrievalError::NoTimeToJudge);
        }
        Ok(())
    }
}

/// Judges an action by `by` at `now`, in the contract's order: state, caller, deadline, arguments.
pub fn step(
    before: &Retrieval,
    by: Address,
    action: &Action,
    now: u64,
) -> Result<Step, RetrievalError> {
    let in_state = |allowed: &[State]| {
        let fits = allowed.contains(&before.state);
        fits.then_some(())
            .ok_or(RetrievalError::WrongState(before.state))
    };
    let by_requester = || match before.requester {
        expected if expected == by => Ok(()),
        expected => Err(RetrievalError::OnlyRequester {
            expected,
            found: by,
        }),
    };
    let by_responder = || match before.responder {
        expected if expected == by => Ok(()),
        expected => Err(RetrievalError::OnlyResponder {
            expected,
            found: by,
        }),
    };
    let until = |deadline: u64| match now {
        now if now > deadline => Err(RetrievalError::TooLate { deadline, now }),
        _ => Ok(()),
    };
    let brings = |expected: Amount, found: Amount| match found {
        found if found == expected => Ok(()),
        found => Err(RetrievalError::WrongValue { expected, found }),
    };
    let mut after = before.clone();
    let terms = &before.terms;
    let mut enter = |state, deadline| (after.state, after.deadline) = (state, deadline);
    match action {
        Action::Cancel => {
            in_state(&[State::Open])?;
            by_requester()?;
            until(before.deadline)?;
            enter(State::Cancelled, 0);
        }
        Action::Accept { deposit } => {
            in_state(&[State::Open])?;
            by_responder()?;
            until(before.deadline)?;
            brings(terms.bond, *deposit)?;
            enter(State::Accepted, terms.claim_by);
        }
        Action::Claim {
            node,
            top1,
            topk,
            ciphertext,
        } => {
            in_state(&[State::Accepted])?;
            by_responder()?;
            until(before.deadline)?;
            let samples = terms.samples;
            for found in [*top1, *topk] {
                if found > samples {
                    return Err(RetrievalError::ClaimAboveSamples { samples, found });
                }
            }
            let end = now.saturating_add(terms.window.into());
            enter(State::Claimed, end);
            let sums = Sums {
                valid: samples.into(),
                top1: (*top1).into(),
                topk: (*topk).into(),
            };
            after.claim = SumNode { hash: *node, sums }.root();
            (after.matches, after.window_end, after.ciphertext) = (*top1, end, *ciphertext);
        }
        Action::Approve { signer } => {
            in_state(&[State::Claimed])?;
            if by != before.requester && *signer != Some(before.requester) {
                return Err(RetrievalError::NotSigned(before.requester));
            }
            until(before.deadline)?;
            enter(State::Settled, 0);
        }
        Action::Contest {
            index,
            again,
            deposit,
        } => {
            in_state(&[State::Claimed, State::Contested])?;
            by_requester()?;
            until(before.deadline)?;
            until(before.window_end)?;
            let (index, shards) = (*index, terms.shards);
            if index >= shards {
                return Err(RetrievalError::ShardOutOfRange { index, shards });
            }
            if *again {
                return Err(RetrievalError::ShardAlreadyContested(index));
            }
            brings(terms.contest_fee, *deposit)?;
            enter(
                State::Contested,
                now.saturating_add(terms.prove_time.into()),
            );
            after.contests = after.contests.saturating_add(1);
        }
        Action::Answer => {
            in_state(&[State::Contested])?;
            until(before.deadline)?;
            if before.contests <= 1 {
                let judged = now.saturating_add(terms.receipt_time.into());
                enter(State::Claimed, before.window_end.max(judged));
            }
            after.contests = before.contests.saturating_sub(1);
            let paid = Payout {
                responder: terms.contest_fee,
                ..Payout::default()
            };
            return Ok(Step { after, paid });
        }
        Action::Reject => {
            in_state(&[State::Claimed])?;
            by_requester()?;
            until(before.deadline)?;
            enter(State::Rejected, 0);
        }
        Action::Expire => {
            if before.state.is_terminal() {
                return Err(RetrievalError::WrongState(before.state));
            }
            let deadline = before.deadline;
            if now <= deadline {
                return Err(RetrievalError::TooEarly { deadline, now });
            }
            let state = match before.state {
                State::Open => State::Cancelled,
                State::Claimed => State::Settled,
                _ => State::Slashed,
            };
            enter(state, 0);
        }
    }
    let paid = before.payout(after.state);
    Ok(Step { after, paid })
}
