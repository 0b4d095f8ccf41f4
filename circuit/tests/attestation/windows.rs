//! Sums of windows that slide, against the sums tap by tap: every kind of kernel, stride, size and border.

use halo2curves::{bn256::Fr, ff::Field};
use rand::{rngs::StdRng, Rng, SeedableRng};
use zknode_circuit::{
    layout::{ClaimColumn, Grid, Layout, LayoutOptions},
    network::{Architecture, Layer, Linear, Output, Padding, Shape, SumPool, TensorId, Term},
    witness::{
        claims::{ChallengeValues, Claims, Committed},
        lanes::Lanes,
    },
};

/// One convolution of one channel of an image, a global pooling, two classes.
fn network(size: (usize, usize), term: Term) -> Architecture {
    let side = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
        (size + before + after - kernel) / stride + 1
    };
    let p = term.padding;
    let to = Shape::new(
        1,
        side(size.0, p.top, p.bottom, term.kernel.0, term.stride.0),
        side(size.1, p.left, p.right, term.kernel.1, term.stride.1),
    );
    let dense = Term {
        input: TensorId(2),
        kernel: (1, 1),
        stride: (1, 1),
        padding: Padding::default(),
        groups: 1,
    };
    Architecture {
        input: Shape::new(1, size.0, size.1),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            Layer::Linear(Linear {
                name: "conv".into(),
                terms: vec![term],
                shape: to,
                output: Output::Activation,
            }),
            Layer::SumPool(SumPool {
                name: "all".into(),
                input: TensorId(1),
                kernel: (to.height, to.width),
                stride: (1, 1),
            }),
            Layer::Linear(Linear {
                name: "classes".into(),
                terms: vec![dense],
                shape: Shape::new(2, 1, 1),
                output: Output::Logits,
            }),
        ],
    }
}

fn layout(size: (usize, usize), term: Term) -> Layout {
    let options = LayoutOptions {
        k: 15,
        lanes: 8,
        samples: 8,
        grid: Grid::WHOLE,
        top_k: 1,
    };
    Layout::new(network(size, term), options).unwrap()
}

/// The right side of the convolution's identity at random challenges, on random cells.
fn check(size: (usize, usize), term: Term, rng: &mut StdRng) {
    let layout = layout(size, term.clone());
    let to = layout.architecture().shapes().unwrap()[1];
    let column = |rng: &mut StdRng| -> Vec<Fr> {
        (0..layout.usable())
            .map(|_| Fr::random(&mut *rng))
            .collect()
    };
    let (model, data) = (vec![std::sync::Arc::new(column(rng))], column(rng));
    let zeros = vec![vec![0; layout.usable()]; 8];
    let lanes = Lanes {
        q: zeros.clone(),
        r: zeros.clone(),
        y: zeros,
        multiplicity: vec![0; layout.usable()],
    };
    let [alpha, theta, zeta, eta, t] = [(); 5].map(|()| Fr::random(&mut *rng));
    let challenges = ChallengeValues {
        alpha,
        theta,
        zeta,
        eta,
        t,
    };
    let committed = Committed {
        model: &model,
        data: &data,
    };
    let mut claims = Claims::compute(&layout, committed, &lanes, &challenges);
    let right = layout.glue().equal()[0].1;
    let found = claims.column(right.column)[right.row as usize];

    let sum = |terms: &mut dyn Iterator<Item = Fr>, step: Fr| -> Fr {
        let mut power = Fr::ONE;
        let mut sum = Fr::ZERO;
        for term in terms {
            sum += power * term;
            power *= step;
        }
        sum
    };
    let ones = sum(&mut (0..8).map(|_| Fr::ONE), zeta);
    let border = Fr::from(u64::from(term.padding.value)) * ones;
    let mut pixel = |y: isize, x: isize| {
        let inside = (0..size.0 as isize).contains(&y) && (0..size.1 as isize).contains(&x);
        match inside {
            true => {
                let row = (y as usize * size.1 + x as usize) * 8;
                claims.column(ClaimColumn::Data)[row]
            }
            false => border,
        }
    };
    let mut folded = vec![];
    for ky in 0..term.kernel.0 {
        for kx in 0..term.kernel.1 {
            let cells: Vec<_> = (0..to.height)
                .flat_map(|y| (0..to.width).map(move |x| (y, x)))
                .map(|(y, x)| {
                    let y = (y * term.stride.0 + ky) as isize - term.padding.top as isize;
                    let x = (x * term.stride.1 + kx) as isize - term.padding.left as isize;
                    pixel(y, x)
                })
                .collect();
            folded.push(sum(&mut cells.into_iter(), t));
        }
    }
    let biased = sum(&mut (0..to.positions()).map(|_| ones), t);
    let weights = layout.weights().runs();
    let mut weight = |run: usize| claims.column(ClaimColumn::Weight)[weights[run].start];
    let mut expected = Fr::ZERO;
    for (run, &folded) in folded.iter().enumerate() {
        expected += weight(run) * folded;
    }
    expected += weight(folded.len()) * biased;
    assert_eq!(found, expected, "{size:?} {term:?}");
}

fn term(kernel: (usize, usize), stride: (usize, usize), padding: Padding) -> Term {
    Term {
        input: TensorId(0),
        kernel,
        stride,
        padding,
        groups: 1,
    }
}

#[test]
fn windows_fold_what_their_taps_read() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut geometries = vec![];
    for kernel in [(1, 1), (2, 2), (3, 3), (5, 5), (1, 5), (3, 1), (5, 2)] {
        for stride in [(1, 1), (2, 2), (3, 3), (1, 2), (7, 4)] {
            geometries.push((kernel, stride));
        }
    }
    for (kernel, stride) in geometries {
        for _ in 0..4 {
            let mut side = |kernel: usize| rng.gen_range(kernel..kernel + 12);
            let size = (side(kernel.0), side(kernel.1));
            let mut edge = |kernel: usize| rng.gen_range(0..kernel);
            let padding = Padding {
                top: edge(kernel.0),
                left: edge(kernel.1),
                bottom: edge(kernel.0),
                right: edge(kernel.1),
                value: rng.gen_range(0..3),
            };
            check(size, term(kernel, stride, padding), &mut rng);
        }
    }
}

/// Rows of the program for the convolution, the sum over its activations and two powers of `t` included.
#[test]
fn sliding_windows_take_fewer_rows() {
    let same = Padding {
        top: 1,
        left: 1,
        bottom: 1,
        right: 1,
        value: 0,
    };
    let rows = |side: usize, kernel, stride, padding| {
        layout((side, side), term(kernel, stride, padding))
            .glue()
            .rows_of(0)
    };
    // Weights of the slots, of the positions, the outputs over both, and the dot product's bias and end.
    let left = |positions: usize| 8 + 2 * positions + 1 + 2;
    let powers = |side: usize| side + (side + 1) + side;
    // Tap by tap: 9 * 1024.
    let sliding = 34 * 36 + 3 * 36;
    assert_eq!(
        rows(32, (3, 3), (1, 1), same),
        sliding + left(1024) + 9 + powers(32)
    );
    // One position in three, no tap shares a cell with another: nothing to gain.
    assert_eq!(
        rows(9, (3, 3), (3, 3), Padding::default()),
        9 * 9 + left(9) + 9
    );
}
