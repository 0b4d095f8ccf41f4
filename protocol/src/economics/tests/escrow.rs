//! From suggested terms to an agreement and back.

use super::{costs, WISH};
use crate::{
    agreement::{self, Metric, Mode},
    economics::{check, suggest, EconomicsError, Setting, Settlement, Terms, Wish},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

const NOW: u64 = 1_700_000_000;

/// The agreement that says the same.
fn agreed(terms: &Terms) -> agreement::Terms {
    let windows = terms.windows;
    let accept_by = NOW + windows.accept;
    let preview_by = accept_by + windows.preview;
    let deliver_by = preview_by + windows.respond + windows.deliver;
    let seconds = |window: u64| u32::try_from(window).unwrap();
    agreement::Terms {
        model: ModelId(Bytes([1; 32])),
        dataset_root: Hash::ZERO,
        token: Address::ZERO,
        shards: terms.shards(),
        samples: terms.samples,
        threshold: terms.threshold,
        price: terms.price,
        buyer_bond: terms.buyer_bond,
        bond: terms.seller_bond,
        penalty: terms.penalty,
        preview_fee: terms.preview_fee,
        contest_fee: match terms.settlement {
            Settlement::Eager => Amount::ZERO,
            Settlement::Claim { contest_fee, .. } => contest_fee,
        },
        accept_by,
        preview_by,
        deliver_by,
        claim_by: deliver_by + windows.respond + windows.prove,
        metric: Metric::Top1,
        mode: match terms.settlement {
            Settlement::Eager => Mode::Eager,
            Settlement::Claim { .. } => Mode::Optimistic,
        },
        preview_shards: terms.preview_shards,
        response_time: seconds(windows.respond),
        window: seconds(windows.contest),
        prove_time: seconds(windows.answer),
    }
}

fn setting(terms: &Terms) -> Setting {
    Setting {
        shard_size: terms.shard_size,
        now: NOW,
        stake: terms.stake,
    }
}

#[test]
fn an_agreement_says_what_was_suggested() {
    for eager in [false, true] {
        let terms = suggest(&Wish { eager, ..WISH }, &costs()).unwrap();
        let agreement = agreed(&terms);
        let read = Terms::of(&agreement, &setting(&terms), &costs()).unwrap();
        assert_eq!(read, terms);
        check(&read, &costs()).unwrap();
        // The rules' lifetime is the contract's.
        assert_eq!(agreement.last_second() - NOW, read.windows.total());
    }
}

#[test]
fn what_an_agreement_cannot_mean_is_refused_or_empty() {
    let terms = suggest(&WISH, &costs()).unwrap();
    let mut agreement = agreed(&terms);
    agreement.shards += 1;
    let refused = Terms::of(&agreement, &setting(&terms), &costs());
    let expected = terms.shards();
    assert!(
        matches!(refused, Err(EconomicsError::Shards { expected: e, got, .. }) if e == expected && got == e + 1)
    );
    // Deadlines out of order, or past: windows of no length, which no rule accepts.
    let mut agreement = agreed(&terms);
    (agreement.preview_by, agreement.claim_by) = (0, 0);
    let read = Terms::of(&agreement, &setting(&terms), &costs()).unwrap();
    assert_eq!((read.windows.preview, read.windows.prove), (0, 0));
    assert!(check(&read, &costs()).is_err());
}
