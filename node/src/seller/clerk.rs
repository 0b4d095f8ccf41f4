//! The clerk: takes every agreement, round and retrieval as far as it goes without a proof.
//!
//! What it owes by a deadline, whatever it belongs to, goes out together, the nearest first ([`super::send`]); what ends
//! something fills the list up. Then it looks again. What must be waited for by itself, an acceptance or a withdrawal, comes
//! when nothing else is owed, one at a time.

use std::{collections::BTreeSet, sync::Arc};

use zknode_protocol::{
    chain::{retrieval::RetrievalChain, RoundChain},
    retrieval::RetrievalId,
    round::RoundId,
    value::AgreementId,
};

use super::{
    deal, rounds,
    send::{send_all, Due, Tried},
    Seller,
};
use crate::{output::explain, retrieval::responder};

/// What to do after a step.
pub enum Next {
    /// Something happened: look again at once.
    Again,
    /// The other side, the chain or a deadline must move first.
    Wait,
    /// This is to be sent.
    Send(Box<Due>),
    /// There is an acceptance or a withdrawal, which has time.
    Later,
    /// It ended and all money is withdrawn.
    Over,
}

impl Next {
    /// This is to be sent.
    pub fn send(due: Due) -> Self {
        Self::Send(Box::new(due))
    }
}

/// What the clerk sees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Round(RoundId),
    Retrieval(RetrievalId),
    Agreement(AgreementId),
}

/// A turn of the clerk. What fails does not hold up the others.
#[derive(Default)]
struct Turn {
    tried: Tried,
    /// Acceptances and withdrawals looked at, each once.
    visited: BTreeSet<Whose>,
    failed: Option<anyhow::Error>,
}

impl Turn {
    /// Tells of an error before it keeps the next.
    fn note(&mut self, error: anyhow::Error) -> Option<String> {
        self.failed.replace(error).map(|before| explain(&before))
    }
}

/// Takes everything as far as it goes now. One that fails does not hold up the others.
pub(super) async fn clerk_round<C: RetrievalChain + RoundChain>(
    seller: &Arc<Seller<C>>,
) -> anyhow::Result<bool> {
    let mut turn = Turn::default();
    loop {
        let (due, later) = look(seller, &mut turn).await?;
        let due = turn.tried.first(due);
        if !due.is_empty() {
            if let Err(error) = send_all(seller, due).await {
                note(seller, &mut turn, error);
            }
            continue;
        }
        if !take_time(seller, &mut turn, later).await {
            break;
        }
    }
    turn.failed.map_or(Ok(false), Err)
}

fn note<C: RoundChain>(seller: &Seller<C>, turn: &mut Turn, error: anyhow::Error) {
    if let Some(before) = turn.note(error) {
        seller.progress.say(before);
    }
}

/// Takes all steps that need no transaction: what is to be sent then, and what has time.
async fn look<C: RetrievalChain + RoundChain>(
    seller: &Arc<Seller<C>>,
    turn: &mut Turn,
) -> anyhow::Result<(Vec<Due>, Vec<Whose>)> {
    let mut all = vec![];
    if seller.rounds.is_some() {
        let rounds = seller.services()?.into_iter();
        all.extend(rounds.map(|(id, _)| Whose::Round(id)));
    }
    let retrievals = responder::active(seller)?.into_iter();
    all.extend(retrievals.map(|(id, _)| Whose::Retrieval(id)));
    let deals = seller.active()?;
    let awaited = deals.iter().filter(|(_, deal)| deal.is_awaited()).count();
    all.extend(deals.iter().map(|(id, _)| Whose::Agreement(*id)));
    let (mut due, mut later) = (vec![], vec![]);
    for whose in all {
        loop {
            let next = match whose {
                Whose::Round(id) => rounds::advance(seller, id).await,
                Whose::Retrieval(id) => responder::advance(seller, id).await,
                Whose::Agreement(id) => deal::advance(seller, id, awaited).await,
            };
            match next {
                Ok(Next::Again) => continue,
                Ok(Next::Wait | Next::Over) => {}
                Ok(Next::Send(one)) => due.push(*one),
                Ok(Next::Later) => later.push(whose),
                Err(error) => note(seller, turn, error.context(whose.to_string())),
            }
            break;
        }
    }
    Ok((due, later))
}

/// Takes the time for acceptances and withdrawals, until one was waited for; whether anything was done.
async fn take_time<C: RetrievalChain + RoundChain>(
    seller: &Arc<Seller<C>>,
    turn: &mut Turn,
    later: Vec<Whose>,
) -> bool {
    let mut any = false;
    for whose in later {
        if !turn.visited.insert(whose) {
            continue;
        }
        any = true;
        let before = seller.wallet.chain().next_nonce().await;
        let done = match whose {
            Whose::Round(id) => rounds::take_time(seller, id).await,
            Whose::Retrieval(id) => responder::take_time(seller, id).await,
            Whose::Agreement(id) => deal::take_time(seller, id).await,
        };
        if let Err(error) = done {
            note(seller, turn, error.context(whose.to_string()));
        }
        // Where nothing was sent, no time went by.
        let after = seller.wallet.chain().next_nonce().await;
        if before.ok() != after.ok() {
            break;
        }
    }
    any
}

impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Round(id) => write!(f, "round {id}"),
            Self::Retrieval(id) => write!(f, "retrieval {id}"),
            Self::Agreement(id) => write!(f, "agreement {id}"),
        }
    }
}
