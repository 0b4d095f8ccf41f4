//! What was promised and would not be kept. A node sees only to agreements and rounds about the model on offer, and to
//! retrievals about the corpus on offer, at the contracts it is set up with: started otherwise than it was, it would let the
//! others pass their deadlines, and lose their bonds.

use std::{
    collections::{btree_map::Entry, BTreeMap},
    fmt::{self, Display},
};

use thiserror::Error;
use zknode_protocol::{
    agreement,
    chain::{retrieval::RetrievalChain, Chain, ChainError, Contracts, RoundChain},
    retrieval,
    round::RoundState,
    value::{Address, Hash, ModelId},
};

use super::{
    deal::{book::accept_purpose, Deal},
    rounds::Service,
};
use crate::{
    retrieval::responder::Served,
    store::{Store, Table},
    wallet::Wallet,
};

/// What a node will see to once it is started.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    /// The model.
    pub model: ModelId,
    /// The predictions contract, if it knows one.
    pub predictions: Option<Address>,
    /// The retrieval contract and the root of the corpus, if it has one.
    pub corpus: Option<(Address, Hash)>,
}

/// Something accepted that would be left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// "agreement 0x...".
    pub what: String,
    /// What it takes to keep it.
    pub keep: String,
}

impl Display for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.what, self.keep)
    }
}

/// Bonds would be lost.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "started like this, the node would not keep what it has promised, and lose the bonds: {}; \
     start it as it was until they are over, or take the loss with --abandon-promises",
    listed(.0)
)]
pub struct Unkept(pub Vec<Promise>);

fn listed(promises: &[Promise]) -> String {
    let listed: Vec<_> = promises.iter().map(Promise::to_string).collect();
    listed.join(", ")
}

/// What is promised, by the books and the chain, and not seen to where `offered` is all that is. Of other chains than the
/// wallet's nothing is known.
pub async fn unkept<C: RoundChain + RetrievalChain>(
    store: &Store,
    wallet: &Wallet<C>,
    offered: &Offered,
) -> anyhow::Result<Vec<Promise>> {
    let now = wallet.chain().head().await?.time;
    let contracts = wallet.chain().contracts();
    let mut books = Books {
        wallet,
        at: BTreeMap::new(),
    };
    let mut unkept = vec![];
    for (_, deal) in store.all::<Deal>(Table::Deals)? {
        let (id, domain) = (deal.offer.agreement, deal.offer.domain);
        let model = deal.offer.terms.model;
        if deal.over || (model, domain.escrow) == (offered.model, contracts.escrow) {
            continue;
        }
        let Some(chain) = books.at(domain.chain_id, domain.escrow).await? else {
            continue;
        };
        let Some(agreement) = chain.agreement_at_depth(id, 0).await? else {
            continue;
        };
        let was_sent = wallet.was_sent(&accept_purpose(id))?;
        if is_bound(agreement.state, was_sent, now > agreement.deadline) {
            let keep = format!("--model {model}, escrow {}", domain.escrow);
            let what = format!("agreement {id}");
            unkept.push(Promise { what, keep });
        }
    }
    for (_, service) in store.all::<Service>(Table::Rounds)? {
        let (id, domain) = (service.offer.round, service.offer.domain);
        let model = service.offer.terms.model;
        let kept = (model, Some(domain.contract)) == (offered.model, offered.predictions);
        if service.over || kept {
            continue;
        }
        let Some(chain) = books.at(domain.chain_id, domain.contract).await? else {
            continue;
        };
        let Some(round) = chain.round_at_depth(id, 0).await? else {
            continue;
        };
        if is_bound_by_round(round.state, service.accepted, now > round.deadline) {
            let keep = format!("--model {model}, predictions contract {}", domain.contract);
            let what = format!("round {id}");
            unkept.push(Promise { what, keep });
        }
    }
    for (_, served) in store.all::<Served>(Table::Retrievals)? {
        let (id, domain, terms) = (served.offer.id, served.offer.domain, &served.offer.terms);
        let corpus = Some((domain.contract, terms.corpus_root));
        if served.over || (terms.model, corpus) == (offered.model, offered.corpus) {
            continue;
        }
        let Some(chain) = books.at(domain.chain_id, domain.contract).await? else {
            continue;
        };
        let Some(retrieval) = chain.retrieval_at_depth(id, 0).await? else {
            continue;
        };
        if is_bound_by_retrieval(retrieval.state, served.accepted, now > retrieval.deadline) {
            let keep = format!(
                "--model {}, --corpus of root {}, retrieval contract {}",
                terms.model, terms.corpus_root, domain.contract
            );
            let what = format!("retrieval {id}");
            unkept.push(Promise { what, keep });
        }
    }
    Ok(unkept)
}

/// Whether there is a bond to lose, or to get back. What is past its deadline and lost for it is not.
fn is_bound(state: agreement::State, was_sent: bool, overdue: bool) -> bool {
    use agreement::State;
    match state {
        State::Open => was_sent && !overdue,
        State::Delivered | State::Contested => !overdue,
        state => !state.is_terminal(),
    }
}

fn is_bound_by_round(state: RoundState, accepted: bool, overdue: bool) -> bool {
    match state {
        RoundState::Open => accepted && !overdue,
        RoundState::Contested => !overdue,
        state => !state.is_terminal(),
    }
}

fn is_bound_by_retrieval(state: retrieval::State, accepted: bool, overdue: bool) -> bool {
    use retrieval::State;
    match state {
        State::Open => accepted && !overdue,
        State::Accepted | State::Contested => !overdue,
        state => !state.is_terminal(),
    }
}

/// The wallet's chain at each contract that something is promised at.
struct Books<'a, C> {
    wallet: &'a Wallet<C>,
    at: BTreeMap<Address, Option<C>>,
}

impl<C: Chain> Books<'_, C> {
    /// `None` where nothing can be asked: on another chain, or where no contract is.
    async fn at(&mut self, chain_id: u64, contract: Address) -> Result<Option<&C>, ChainError> {
        let chain = self.wallet.chain();
        if chain_id != chain.chain_id() {
            return Ok(None);
        }
        let found = match self.at.entry(contract) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let contracts = Contracts {
                    escrow: contract,
                    ..chain.contracts()
                };
                let exists = chain.code_hash(contract).await?.is_some();
                unknown.insert(exists.then(|| chain.with_contracts(contracts)))
            }
        };
        Ok(found.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_binds_until_it_ends_or_is_lost() {
        use agreement::State;
        for state in State::ALL {
            let lost = matches!(state, State::Delivered | State::Contested);
            let goes_on = state > State::Open && !state.is_terminal();
            for (was_sent, overdue) in [(false, false), (true, false), (true, true)] {
                let open = state == State::Open && was_sent && !overdue;
                let bound = open || goes_on && !(lost && overdue);
                assert_eq!(is_bound(state, was_sent, overdue), bound, "{state:?}");
            }
        }
    }

    #[test]
    fn so_does_a_round_and_a_retrieval() {
        use retrieval::State;
        for state in RoundState::ALL {
            let goes_on = state > RoundState::Open && !state.is_terminal();
            let lost = state == RoundState::Contested;
            assert_eq!(is_bound_by_round(state, false, false), goes_on);
            assert_eq!(is_bound_by_round(state, true, true), goes_on && !lost);
        }
        assert!(is_bound_by_round(RoundState::Open, true, false));
        for state in State::ALL {
            let goes_on = state > State::Open && !state.is_terminal();
            let lost = state != State::Claimed;
            assert_eq!(is_bound_by_retrieval(state, false, false), goes_on);
            assert_eq!(is_bound_by_retrieval(state, true, true), goes_on && !lost);
        }
        assert!(is_bound_by_retrieval(State::Open, true, false));
    }
}
