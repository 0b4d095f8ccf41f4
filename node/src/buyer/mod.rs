//! The buyer's side: checks a seller's model, commits to a test set, opens an agreement and sees it through.

mod case;
mod claim;
mod client;
mod clock;
mod contest;
mod evidence;
mod money;
mod offer;
pub mod order;
mod predict;
mod scan;
mod terms;

pub mod challenge;

pub use client::{Client, ClientError};
pub(crate) use clock::Clock;
pub(crate) use contest::contest_all;
pub use money::{share_out, Money, Wanted};
pub use offer::{check, reopen, CheckedModel};
pub(crate) use scan::{scan, to_contest, Claimed, Seen};
pub use terms::{Deadlines, Threshold, Wish};
