//! Honest corpora are accepted, and an owner that puts anything elsewhere argues in vain: it runs the honest argument over
//! what it really committed to.
#![allow(clippy::unwrap_used)]

use super::{
    points,
    prove::{argue, prove, Opening, Sums},
    rows::{generator, nodes, pixels, vanishing, View, Weights},
    verify, ApartError, Proof, PROOF_BYTES,
};
use crate::{
    commitment::{Commitment, Seed},
    corpus::{commit_item, items::rows, CorpusError, Item},
    layout::{Grid, Layout, LayoutOptions},
    network::{Architecture, Layer, Linear, Output, Padding, Shape, TensorId, Term},
    srs::Srs,
    transcript::TranscriptError,
};
use halo2_proofs::{
    arithmetic::{best_multiexp, eval_polynomial, Field},
    poly::EvaluationDomain,
};
use halo2curves::{
    bn256::{Fr, G1Affine},
    group::Curve,
};
use rand::{rngs::StdRng, Rng, SeedableRng};
use std::sync::OnceLock;

const K: u32 = 12;
const PLACES: usize = 8;

struct Ground {
    layout: Layout,
    srs: Srs,
}

/// Four classes of images of two channels, eight in a shard.
fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| Ground {
        layout: layout(PLACES),
        srs: Srs::development(K, |_, _| ()).unwrap(),
    })
}

fn layout(samples: usize) -> Layout {
    let dense = Linear {
        name: "dense".into(),
        terms: vec![Term {
            input: TensorId(1),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        }],
        shape: Shape::new(4, 1, 1),
        output: Output::Logits,
    };
    let architecture = Architecture {
        input: Shape::new(2, 2, 3),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![Layer::Flatten { input: TensorId(0) }, Layer::Linear(dense)],
    };
    let options = LayoutOptions {
        k: K,
        lanes: 8,
        samples,
        grid: Grid::WHOLE,
        top_k: 1,
    };
    Layout::new(architecture, options).unwrap()
}

type Items = Vec<(u32, Commitment)>;

/// A corpus by its columns, row by row, whatever they hold.
#[derive(Clone)]
struct Columns(Vec<(u32, Vec<Fr>)>);

impl Columns {
    /// Random images at these positions.
    fn honest(positions: &[u32]) -> Self {
        let column = |&position: &u32| {
            let mut rng = StdRng::seed_from_u64(u64::from(position));
            let image: Vec<u8> = (0..12).map(|_| rng.gen()).collect();
            (position, column(position, &image))
        };
        Self(positions.iter().map(column).collect())
    }

    fn at(&mut self, position: u32) -> &mut Vec<Fr> {
        let found = self.0.iter_mut().find(|(at, _)| *at == position);
        &mut found.unwrap().1
    }

    fn commit(&self) -> Items {
        let basis = ground().srs.lagrange();
        let commit = |(position, column): &(u32, Vec<Fr>)| {
            let point: G1Affine = best_multiexp(column, basis).to_affine();
            (*position, point.into())
        };
        self.0.iter().map(commit).collect()
    }

    /// A proof of these commitments, true or not.
    fn argue(&self, items: &[(u32, Commitment)], seed: u64) -> Proof {
        let Ground { layout, srs } = ground();
        let sums = |weights: &Weights| {
            let mut sums = Sums::new(layout);
            for (position, column) in &self.0 {
                sums.add(weights, *position, column.iter().copied().enumerate());
            }
            sums
        };
        let mut rng = StdRng::seed_from_u64(seed);
        argue(layout, srs, items, sums, &mut rng).unwrap()
    }

    fn judge(&self) -> Result<(), ApartError> {
        let items = self.commit();
        check(&items, &self.argue(&items, 1))
    }
}

fn seed(position: u32) -> Seed {
    Seed::new([position as u8; 32])
}

fn column(position: u32, pixels: &[u8]) -> Vec<Fr> {
    let layout = &ground().layout;
    let item = Item {
        place: position as usize % PLACES,
        pixels,
        seed: &seed(position),
    };
    let mut column = vec![Fr::ZERO; layout.rows()];
    for (row, value) in rows(layout, &item) {
        column[row] = value;
    }
    column
}

fn check(items: &[(u32, Commitment)], proof: &Proof) -> Result<(), ApartError> {
    verify(&ground().layout, &ground().srs, items, proof)
}

/// A full shard, and two of three.
const CORPUS: [u32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10];

#[test]
fn honest_corpora_are_accepted() {
    for positions in [
        &[0][..],
        &[5],
        &[0, 1, 2, 3, 4, 5, 6, 7],
        &[0, 2, 7],
        &CORPUS,
        // Shards without any item between.
        &[3, 41, 42],
        &[u32::MAX],
    ] {
        assert_eq!(Columns::honest(positions).judge(), Ok(()), "{positions:?}");
    }
}

#[test]
fn an_owner_proves_its_items_and_no_other_commitment() {
    let Ground { layout, srs } = ground();
    let images: Vec<Vec<u8>> = (0..4).map(|n| vec![40 * n; 12]).collect();
    let seeds: Vec<_> = (0..4).map(seed).collect();
    let commit = |n: usize, place| {
        let (pixels, seed) = (&images[n][..], &seeds[n]);
        let item = Item {
            place,
            pixels,
            seed,
        };
        commit_item(layout, srs, item).unwrap()
    };
    let positions = [0u32, 3, 7, 9];
    let mut items: Vec<_> = (0..4)
        .map(|n| Opening {
            position: positions[n],
            commitment: commit(n, positions[n] as usize % PLACES),
            pixels: &images[n],
            seed: &seeds[n],
        })
        .collect();
    let owned = |items: &[Opening]| prove(layout, srs, items, &mut StdRng::seed_from_u64(3));
    let published: Vec<_> = (items.iter())
        .map(|item| (item.position, item.commitment))
        .collect();
    assert_eq!(check(&published, &owned(&items).unwrap()), Ok(()));
    // Committed at another place.
    items[2].commitment = commit(2, 6);
    assert_eq!(owned(&items), Err(ApartError::NotShown));
    items[2].commitment = commit(2, 7);
    items[1].pixels = &images[1][1..];
    let pixels = CorpusError::Pixels {
        place: 3,
        expected: 12,
        found: 11,
    };
    assert_eq!(owned(&items), Err(pixels.into()));
}

/// The last commitment is one to any shard, less the sum of the others, which are honest.
#[test]
fn commitments_that_cancel_are_refused() {
    let positions: Vec<u32> = (0..PLACES as u32).collect();
    let mut columns = Columns::honest(&positions);
    let mut other = vec![Fr::ZERO; ground().layout.rows()];
    for position in 0..PLACES as u32 {
        let image = column(position, &[200; 12]);
        for (sum, value) in other.iter_mut().zip(image) {
            *sum += value;
        }
    }
    let shard: G1Affine = best_multiexp(&other, ground().srs.lagrange()).to_affine();
    for (_, honest) in &columns.0[..PLACES - 1] {
        for (value, taken) in other.iter_mut().zip(honest) {
            *value -= taken;
        }
    }
    *columns.at(7) = other;
    let points = points(&columns.commit()).unwrap();
    let sum = best_multiexp(&[Fr::ONE; PLACES], &points).to_affine();
    assert_eq!(sum, shard);
    assert_eq!(columns.judge(), Err(ApartError::NotShown));
}

#[test]
fn mass_elsewhere_is_refused_and_only_there() {
    let layout = &ground().layout;
    let pixel = |place| layout.data_row(11, layout.slot(place, (0, 0)));
    let score = layout.score();
    let elsewhere = [
        ("a neighbour's pixel", pixel(3)),
        ("a pixel of a place that is not taken", pixel(1)),
        ("after the pixels", pixels(layout)),
        ("a row of a class", score.class(2, 1)),
        ("its own label", score.summary(2)),
        ("a neighbour's label", score.summary(0)),
        ("a total", score.expose()),
        ("before the salt", layout.data_salt().start - 1),
        ("after the usable rows", layout.usable()),
        ("the last row", layout.rows() - 1),
    ];
    let honest = Columns::honest(&[2, 3, 10]);
    for (what, row) in elsewhere {
        let mut columns = honest.clone();
        columns.at(2)[row] += Fr::ONE;
        assert_eq!(columns.judge(), Err(ApartError::NotShown), "{what}");
        // Nor if another takes it away: of this shard, or of the same place in the next one.
        for other in [3, 10] {
            let mut columns = columns.clone();
            columns.at(other)[row] -= Fr::ONE;
            assert_eq!(columns.judge(), Err(ApartError::NotShown), "{what}");
        }
    }
    for row in [pixel(2), layout.data_salt().start, layout.usable() - 1] {
        let mut columns = honest.clone();
        columns.at(2)[row] += Fr::ONE;
        assert_eq!(columns.judge(), Ok(()), "{row}");
    }
}

#[test]
fn a_proof_is_about_its_own_corpus_only() {
    let columns = Columns::honest(&CORPUS);
    let items = columns.commit();
    let proof = columns.argue(&items, 1);
    let refused = |change: &dyn Fn(&mut Items)| {
        let mut items = items.clone();
        change(&mut items);
        assert_eq!(check(&items, &proof), Err(ApartError::NotShown));
    };
    // Two of a shard, and two of two shards at the same place.
    refused(&|items| (items[1].1, items[2].1) = (items[2].1, items[1].1));
    refused(&|items| (items[0].1, items[8].1) = (items[8].1, items[0].1));
    refused(&|items| items[9].0 = 9);
    refused(&|items| items[9].0 += PLACES as u32);
    refused(&|items| items.truncate(9));
    refused(&|items| {
        items.remove(4);
    });
    let another = Columns::honest(&[11]).commit()[0];
    refused(&|items| items.push(another));
    refused(&|items| items[5].1 = another.1);
    let fewer = Columns::honest(&CORPUS[..8]).argue(&items[..8], 1);
    assert_eq!(check(&items, &fewer), Err(ApartError::NotShown));
    // The same rows, cut into shards of another size.
    let wider = verify(&layout(2 * PLACES), &ground().srs, &items, &proof);
    assert_eq!(wider, Err(ApartError::NotShown));
}

#[test]
fn other_points_are_no_proof() {
    let columns = Columns::honest(&CORPUS);
    let items = columns.commit();
    let proof = columns.argue(&items, 1);
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = *proof.bytes();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        check(&items, &Proof::new(changed))
    };
    for at in [0, 64, 128] {
        assert_eq!(changed(at, items[0].1.bytes()), Err(ApartError::NotShown));
        let point = |error: TranscriptError| Err(error.into());
        let off = TranscriptError::PointOffCurve { offset: at };
        assert_eq!(changed(at + 63, &[proof.bytes()[at + 63] ^ 1]), point(off));
        let identity = TranscriptError::PointAtInfinity { offset: at };
        assert_eq!(changed(at, &[0; 64]), point(identity));
        let large = TranscriptError::CoordinateNotCanonical { offset: at };
        assert_eq!(changed(at, &[255; 32]), point(large));
    }
    assert_eq!(check(&items, &proof), Ok(()));
}

/// What is masked differs from proof to proof, all three points of it.
#[test]
fn proofs_of_one_corpus_have_no_point_in_common() {
    let columns = Columns::honest(&CORPUS);
    let items = columns.commit();
    let (one, other) = (columns.argue(&items, 1), columns.argue(&items, 2));
    for at in [0, 64, 128] {
        assert_ne!(one.bytes()[at..at + 64], other.bytes()[at..at + 64]);
    }
    assert_eq!(columns.argue(&items, 1), one);
}

#[test]
fn what_is_no_corpus_is_refused() {
    let items = Columns::honest(&[0, 1, 2]).commit();
    let nothing = Proof::new([0; PROOF_BYTES]);
    let refused = |items: &[(u32, Commitment)], error: ApartError| {
        assert_eq!(check(items, &nothing), Err(error));
    };
    refused(&[], CorpusError::Empty.into());
    let order = |last, found| ApartError::Order { last, found };
    refused(&[items[0], items[0]], order(0, 0));
    refused(&[items[0], items[2], items[1]], order(2, 1));
    let odd = |bytes| [items[0], (5, Commitment::new(bytes))];
    refused(&odd([7; 64]), ApartError::NotAPoint { position: 5 });
    refused(&odd([0; 64]), ApartError::Identity { position: 5 });
    let small = Srs::development(K - 1, |_, _| ()).unwrap();
    let (expected, found) = (K, K - 1);
    assert_eq!(
        verify(&ground().layout, &small, &items, &nothing),
        Err(CorpusError::Srs { expected, found }.into())
    );
}

/// The verifier's short ways agree with the polynomials themselves.
#[test]
fn the_public_polynomials_are_seen_as_they_are() {
    let layout = &ground().layout;
    let domain = EvaluationDomain::<Fr>::new(1, K);
    let interpolate = |rows| domain.lagrange_to_coeff(domain.lagrange_from_vec(rows));
    let weights = Weights::new(layout, Fr::from(1_000_003));
    let mut rho = vec![Fr::ZERO; layout.rows()];
    for place in 0..PLACES {
        for cell in 0..12 {
            let row = layout.data_row(cell, layout.slot(place, (0, 0)));
            rho[row] = Fr::from(1_000_003).pow_vartime([place as u64]);
        }
    }
    let z = Fr::from(77);
    let view = View::at(layout, &weights, z).unwrap();
    assert_eq!(view.rho, eval_polynomial(interpolate(rho).values(), z));
    let salt = vanishing(nodes(generator(K), layout.data_salt()));
    assert_eq!(salt.len(), layout.data_salt().len() + 1);
    let whole = z.pow_vartime([1u64 << K]) - Fr::ONE;
    assert_eq!(view.empty * eval_polynomial(&salt, z), whole);
    assert_eq!(view.high * z, whole + Fr::ONE);
    let row = generator(K).pow_vartime([9u64]);
    assert_ne!(eval_polynomial(&salt, row), Fr::ZERO);
    assert!(View::at(layout, &weights, row).is_none());
    // A challenge that is a row is drawn again.
    let mut challenges = [row, Fr::ONE, z].into_iter();
    let view = View::from_challenge(layout, &weights, || challenges.next().unwrap());
    assert_eq!(view.z, z);
}
