//! A corpus committed item by item: sums of commitments with public labels are what is proven, and no other choice,
//! place, count or class passes for it.

use crate::support::{context, Case};
use halo2curves::{
    bn256::G1,
    group::{Curve, Group},
};
use rand::{rngs::StdRng, SeedableRng};
use std::sync::OnceLock;
use zknode_circuit::{
    commitment::{Commitment, CommittedShard, Seed},
    corpus::{
        apart::{self, ApartError, Opening},
        commit_item, openings, CorpusError, Item, LabelBasis, Selection,
    },
    network::import::answer,
    verify::Attestation,
};

fn seed(place: usize) -> Seed {
    Seed::new([100 + place as u8; 32])
}

/// The case's images as a corpus of one shard, and the class the network answers most often.
struct Corpus {
    case: &'static Case,
    seeds: Vec<Seed>,
    items: Vec<(usize, Commitment)>,
    basis: LabelBasis,
    class: u16,
    matches: Vec<usize>,
}

impl Corpus {
    fn get() -> &'static Self {
        static CORPUS: OnceLock<Corpus> = OnceLock::new();
        CORPUS.get_or_init(|| Self::of(Case::get()))
    }

    fn of(case: &'static Case) -> Self {
        let (layout, srs) = (case.layout(), case.prover.srs());
        let seeds: Vec<_> = (0..case.images.len()).map(seed).collect();
        let answers: Vec<_> = (case.images.iter())
            .map(|image| answer(&case.network.run(image).unwrap().logits) as u16)
            .collect();
        let count = |class| answers.iter().filter(|found| **found == class).count();
        let class = (0..5).max_by_key(|class| count(*class)).unwrap();
        let places = (0..answers.len()).filter(|place| answers[*place] == class);
        let item = |place: usize| Item {
            place,
            pixels: &case.images[place],
            seed: &seeds[place],
        };
        let items = (0..case.images.len())
            .map(|place| (place, commit_item(layout, srs, item(place)).unwrap()))
            .collect();
        Self {
            items,
            basis: LabelBasis::new(layout, srs).unwrap(),
            matches: places.collect(),
            class,
            case,
            seeds,
        }
    }

    fn selection(&self, places: &[usize]) -> Selection {
        let items: Vec<_> = places
            .iter()
            .map(|&place| Item {
                place,
                pixels: &self.case.images[place],
                seed: &self.seeds[place],
            })
            .collect();
        let srs = self.case.prover.srs();
        Selection::new(self.case.layout(), srs, &items, self.class).unwrap()
    }

    fn prove(&self, places: &[usize]) -> Attestation {
        let made = self.case.prover.prove_selection(
            (&self.case.network, &self.case.model),
            &self.selection(places),
            context(9),
            StdRng::seed_from_u64(1),
            |_| (),
        );
        made.unwrap()
    }

    /// The items at these places as they are published, and the proof that they stand apart.
    fn published(&self, places: &[usize]) -> (Vec<(u32, Commitment)>, apart::Proof) {
        let openings: Vec<_> = (places.iter())
            .map(|&place| Opening {
                position: place as u32,
                commitment: self.items[place].1,
                pixels: &self.case.images[place],
                seed: &self.seeds[place],
            })
            .collect();
        let (layout, srs) = (self.case.layout(), self.case.prover.srs());
        let mut rng = StdRng::seed_from_u64(2);
        let proof = apart::prove(layout, srs, &openings, &mut rng).unwrap();
        let items = openings.iter().map(|item| (item.position, item.commitment));
        (items.collect(), proof)
    }

    fn stand_apart(
        &self,
        items: &[(u32, Commitment)],
        proof: &apart::Proof,
    ) -> Result<(), ApartError> {
        apart::verify(self.case.layout(), self.case.prover.srs(), items, proof)
    }

    /// What the requester holds a proof about these places against.
    fn expected(&self, places: &[usize]) -> Commitment {
        let items: Vec<_> = places.iter().map(|&place| self.items[place]).collect();
        self.basis.labelled(&items, self.class).unwrap()
    }

    fn accepts(&self, attestation: &Attestation) -> bool {
        self.case.prover.verifier().verify(attestation).is_ok()
    }
}

#[test]
fn the_sum_of_items_is_what_a_choice_of_them_commits_to() {
    let corpus = Corpus::get();
    let all: Vec<_> = (0..corpus.items.len()).collect();
    for places in [&all[..], &corpus.matches, &all[3..4], &all[2..7]] {
        let found = corpus.selection(places).column().commitment();
        assert_eq!(found, corpus.expected(places));
    }
    // In tiles too.
    let cut = Corpus::of(Case::cut());
    let all: Vec<_> = (0..cut.items.len()).collect();
    assert_eq!(
        cut.selection(&all).column().commitment(),
        cut.expected(&all)
    );
    assert_eq!(
        openings(corpus.case.layout()),
        corpus.case.shard.column().opening_limit()
    );
}

/// The values are those of a shard that is committed at once, but for the salt, which adds up.
#[test]
fn the_sum_holds_what_a_shard_holds() {
    let corpus = Corpus::get();
    let all: Vec<_> = (0..corpus.items.len()).collect();
    let labels = vec![corpus.class; all.len()];
    let samples = crate::support::samples(&corpus.case.images, &labels);
    let (layout, srs) = (corpus.case.layout(), corpus.case.prover.srs());
    let shard = CommittedShard::new(layout, &samples, &Seed::new([0; 32]), srs).unwrap();
    let sum = corpus.selection(&all);
    let salt = layout.data_salt();
    let (sum, whole) = (sum.column().values(), shard.column().values());
    assert_eq!(sum[..salt.start], whole[..salt.start]);
    assert!(salt.clone().all(|row| sum[row] != whole[row]));
}

#[test]
fn both_statements_are_proven_and_say_exactly_which_items_match() {
    let corpus = Corpus::get();
    let all: Vec<_> = (0..corpus.items.len()).collect();
    let m = corpus.matches.len();
    assert!(m > 1 && m < all.len(), "{m} of {}", all.len());
    let scan = corpus.prove(&all);
    assert_eq!(
        (scan.statement.valid, scan.statement.top1),
        (all.len() as u32, m as u32)
    );
    assert_eq!(scan.shard, corpus.expected(&all));
    assert!(corpus.accepts(&scan));
    assert_ne!(corpus.case.contract_accepts(&scan), Some(false));
    let which = corpus.prove(&corpus.matches);
    assert_eq!(
        (which.statement.valid, which.statement.top1),
        (m as u32, m as u32)
    );
    assert_eq!(which.shard, corpus.expected(&corpus.matches));
    assert!(corpus.accepts(&which));
    // One that does not match among those that do is one answer short.
    let other = all
        .iter()
        .find(|place| !corpus.matches.contains(place))
        .unwrap();
    let more = [&corpus.matches[..], &[*other]].concat();
    let statement = corpus.prove(&more).statement;
    assert_eq!((statement.valid, statement.top1), (m as u32 + 1, m as u32));
}

#[test]
fn items_stand_apart_in_tiles_too_and_where_places_are_not_taken() {
    let (whole, cut) = (Corpus::get(), Corpus::of(Case::cut()));
    let all: Vec<_> = (0..whole.items.len()).collect();
    for (corpus, places) in [
        (whole, &all[..]),
        (whole, &[7]),
        (whole, &[0, 3, 4, 11]),
        (&cut, &[0, 1]),
        (&cut, &[1]),
    ] {
        let (items, proof) = corpus.published(places);
        assert_eq!(corpus.stand_apart(&items, &proof), Ok(()), "{places:?}");
    }
    // Two of three tiles wide: each other's rows are between their own.
    let (mut items, proof) = cut.published(&[0, 1]);
    (items[0].1, items[1].1) = (items[1].1, items[0].1);
    let swapped = cut.stand_apart(&items, &proof);
    assert_eq!(swapped, Err(ApartError::NotShown));
}

/// Every commitment but the last is honest and opens; the last makes the sum that of another shard. The proof of how many
/// match is about that other shard, and true. That the items do not stand apart is what gives the owner away.
#[test]
fn a_corpus_whose_commitments_cancel_is_refused_whatever_its_count() {
    let corpus = Corpus::get();
    let all: Vec<_> = (0..corpus.items.len()).collect();
    // Items of which none matches, in all places.
    let miss = all.iter().find(|place| !corpus.matches.contains(place));
    let (layout, srs) = (corpus.case.layout(), corpus.case.prover.srs());
    let other: Vec<_> = (all.iter())
        .map(|&place| Item {
            place,
            pixels: &corpus.case.images[*miss.unwrap()],
            seed: &corpus.seeds[place],
        })
        .collect();
    let selection = Selection::new(layout, srs, &other, corpus.class).unwrap();
    let scan = corpus.case.prover.prove_selection(
        (&corpus.case.network, &corpus.case.model),
        &selection,
        context(9),
        StdRng::seed_from_u64(1),
        |_| (),
    );
    let scan = scan.unwrap();

    let sum = |items: &mut dyn Iterator<Item = Commitment>| -> G1 {
        let points = items.map(|item| G1::from(item.point().unwrap()));
        points.fold(G1::identity(), |a, b| a + b)
    };
    let commit = |item: &Item| commit_item(layout, srs, *item).unwrap();
    let shard = sum(&mut other.iter().map(commit));
    let mut items = corpus.items.clone();
    let (last, honest) = items.split_last_mut().unwrap();
    let rest = sum(&mut honest.iter().map(|(_, commitment)| *commitment));
    last.1 = (shard - rest).to_affine().into();

    // The count is none, of the very commitments that are published.
    let labelled = corpus.basis.labelled(&items, corpus.class).unwrap();
    assert_eq!(scan.shard, labelled);
    assert!(corpus.accepts(&scan));
    assert_eq!(scan.statement.top1, 0);
    assert!(corpus.matches.len() > 1);

    let (_, proof) = corpus.published(&all);
    let items: Vec<_> = items.iter().map(|&(at, item)| (at as u32, item)).collect();
    let judged = corpus.stand_apart(&items, &proof);
    assert_eq!(judged, Err(ApartError::NotShown));
}

#[test]
fn false_counts_choices_and_places_are_refused() {
    let corpus = Corpus::get();
    let all: Vec<_> = (0..corpus.items.len()).collect();
    let scan = corpus.prove(&all);
    let which = corpus.prove(&corpus.matches);
    let change = |attestation: &Attestation, change: &dyn Fn(&mut Attestation)| {
        let mut changed = attestation.clone();
        change(&mut changed);
        assert!(!corpus.accepts(&changed));
    };
    // A match hidden, one invented.
    change(&scan, &|a| a.statement.top1 -= 1);
    change(&scan, &|a| a.statement.top1 += 1);
    change(&scan, &|a| a.statement.valid -= 1);
    // Another choice: one left out, one exchanged.
    let fewer = &corpus.matches[1..];
    change(&which, &|a| a.shard = corpus.expected(fewer));
    let other = all
        .iter()
        .find(|place| !corpus.matches.contains(place))
        .unwrap();
    let exchanged = [fewer, &[*other]].concat();
    change(&which, &|a| a.shard = corpus.expected(&exchanged));
    // An item moved to another place: its commitment stands at a place where its pixels do not.
    let mut moved: Vec<_> = (corpus.matches.iter())
        .map(|&place| corpus.items[place])
        .collect();
    moved[0].0 = *other;
    let moved = corpus.basis.labelled(&moved, corpus.class).unwrap();
    change(&which, &|a| a.shard = moved);
    // Another class asked for.
    let items: Vec<_> = (corpus.matches.iter())
        .map(|&place| corpus.items[place])
        .collect();
    let class = corpus
        .basis
        .labelled(&items, (corpus.class + 1) % 5)
        .unwrap();
    change(&which, &|a| a.shard = class);
}

#[test]
fn an_item_opens_to_its_own_pixels_at_its_own_place_only() {
    let corpus = Corpus::get();
    let (layout, srs) = (corpus.case.layout(), corpus.case.prover.srs());
    let commit = |place, pixels: &[u8], seed: &Seed| {
        let item = Item {
            place,
            pixels,
            seed,
        };
        commit_item(layout, srs, item)
    };
    let (pixels, own) = (&corpus.case.images[0], &corpus.seeds[0]);
    let expected = Ok(corpus.items[0].1);
    assert_eq!(commit(0, pixels, own), expected);
    assert_ne!(commit(1, pixels, own), expected);
    assert_ne!(commit(0, pixels, &corpus.seeds[1]), expected);
    let mut other = pixels.clone();
    other[0] ^= 1;
    assert_ne!(commit(0, &other, own), expected);
    let (places, place) = (layout.options().samples, layout.options().samples);
    assert_eq!(
        commit(place, pixels, own),
        Err(CorpusError::Place { place, places })
    );
    assert!(matches!(
        commit(0, &pixels[1..], own),
        Err(CorpusError::Pixels { place: 0, .. })
    ));
}

#[test]
fn labels_are_added_to_proper_choices_only() {
    let corpus = Corpus::get();
    let labelled = |items: &[_], class| corpus.basis.labelled(items, class);
    let first = corpus.items[0];
    assert_eq!(labelled(&[], 0), Err(CorpusError::Empty));
    assert_eq!(
        labelled(&[first, first], 0),
        Err(CorpusError::Doubled { place: 0 })
    );
    assert_eq!(
        labelled(&[(99, first.1)], 0),
        Err(CorpusError::Place {
            place: 99,
            places: 16
        })
    );
    assert_eq!(
        labelled(&[first], 5),
        Err(CorpusError::Class {
            class: 5,
            classes: 5
        })
    );
    let nonsense = Commitment::new([7; 64]);
    assert_eq!(
        labelled(&[(3, nonsense)], 0),
        Err(CorpusError::NotAPoint { place: 3 })
    );
}
