//! The glue program against an evaluation of its own: whole images, no tiles, slots mapped anew. Both sides of every
//! identity are compared at random challenges on *arbitrary* cells, padding weights included, so that nothing rests on
//! honest runs.
use halo2_proofs::halo2curves::bn256::Fr;
use halo2curves::ff::Field;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rand::{rngs::StdRng, Rng, SeedableRng};
use std::sync::Arc;
use zknode_circuit::{
    layout::*,
    network::*,
    witness::{claims::*, lanes::Lanes},
};

fn pow(b: Fr, e: usize) -> Fr {
    b.pow_vartime([e as u64])
}

fn check(layout: &Layout, rng: &mut StdRng, stats: &mut [usize; 6]) {
    let (usable, m) = (layout.usable(), layout.options().lanes);
    let mut col = || {
        (0..m)
            .map(|_| {
                (0..usable)
                    .map(|_| rng.gen_range(-(1i64 << 20)..1 << 20))
                    .collect::<Vec<i64>>()
            })
            .collect::<Vec<_>>()
    };
    let lanes = Lanes {
        q: col(),
        r: col(),
        y: col(),
        multiplicity: vec![0; usable],
    };
    let mut fcol = || {
        Arc::new(
            (0..usable)
                .map(|_| Fr::random(&mut *rng))
                .collect::<Vec<_>>(),
        )
    };
    let w = layout.weights().columns();
    let model: Vec<_> = (0..w).map(|_| fcol()).collect();
    let data = fcol();
    let ch = ChallengeValues {
        alpha: Fr::random(&mut *rng),
        theta: Fr::random(&mut *rng),
        zeta: Fr::random(&mut *rng),
        eta: Fr::random(&mut *rng),
        t: Fr::random(&mut *rng),
    };
    let mut claims = Claims::compute(
        layout,
        Committed {
            model: &model,
            data: &data,
        },
        &lanes,
        &ch,
    );
    let a = layout.architecture();
    let shapes = a.shapes().unwrap();
    let g = layout.options().grid;
    let (n_samples, c_tiles, r_tiles) = (layout.options().samples, g.columns, g.rows);
    let slots = n_samples * c_tiles * r_tiles;
    let rpc = slots / m;
    let cut = g != Grid::WHOLE;
    let f = |v: i64| {
        if v < 0 {
            -Fr::from((-v) as u64)
        } else {
            Fr::from(v as u64)
        }
    };
    let where_ = |slot: usize| {
        let (x, r) = (slot % c_tiles, slot / c_tiles);
        (r % n_samples, r / n_samples, x)
    };
    // tensors[t][n][cell]
    let mut tensors: Vec<Vec<Vec<Fr>>> = vec![];
    let mut lane_start = 0usize;
    let mut next_lane = |steps: usize, s: Shape| -> (usize, Shape) {
        let tile = Shape::new(s.channels, s.height / r_tiles, s.width / c_tiles);
        let start = lane_start;
        lane_start += steps * tile.cells() * rpc;
        (start, tile)
    };
    let gather = |cells_of: &dyn Fn(usize, usize) -> Fr, tile: Shape, full: Shape| {
        let mut out = vec![vec![Fr::zero(); full.cells()]; n_samples];
        for slot in 0..slots {
            let (n, ty, tx) = where_(slot);
            for c in 0..tile.channels {
                for y in 0..tile.height {
                    for x in 0..tile.width {
                        let i = (c * tile.height + y) * tile.width + x;
                        let j = (c * full.height + ty * tile.height + y) * full.width
                            + tx * tile.width
                            + x;
                        out[n][j] = cells_of(i, slot);
                    }
                }
            }
        }
        out
    };
    {
        let full = shapes[0];
        let tile = Shape::new(full.channels, full.height / r_tiles, full.width / c_tiles);
        tensors.push(gather(&|i, slot| data[i * slots + slot], tile, full));
    }
    let mut equal = layout.glue().equal().iter();
    let mut whole = vec![false];
    let value = |claims: &mut Claims, c: CellRef| claims.column(c.column)[c.row as usize];
    let scale = Fr::from(1u64 << a.fraction_bits);
    let mut run_index = 0;
    for (li, layer) in a.layers.iter().enumerate() {
        let to = shapes[li + 1];
        match layer {
            Layer::Flatten { input } => {
                let t = tensors[input.0].clone();
                tensors.push(t);
                let h = whole[input.0];
                whole.push(h);
            }
            Layer::SumPool(p) => {
                let from = shapes[p.input.0];
                whole.push(whole[p.input.0] || (cut && p.kernel == (from.height, from.width)));
                let t = tensors[p.input.0]
                    .iter()
                    .map(|cells| {
                        let mut out = vec![];
                        for c in 0..to.channels {
                            for y in 0..to.height {
                                for x in 0..to.width {
                                    let mut s = Fr::zero();
                                    for dy in 0..p.kernel.0 {
                                        for dx in 0..p.kernel.1 {
                                            s += cells[(c * from.height + y * p.stride.0 + dy)
                                                * from.width
                                                + x * p.stride.1
                                                + dx];
                                        }
                                    }
                                    out.push(s);
                                }
                            }
                        }
                        out
                    })
                    .collect();
                tensors.push(t);
            }
            Layer::MaxPool(p) => {
                stats[3] += 1;
                let from = shapes[p.input.0];
                let steps = p.kernel.0 * p.kernel.1 - 1;
                let (start, tile) = next_lane(steps, to);
                let per = tile.cells();
                let at = |cols: &Vec<Vec<i64>>, step: usize, i: usize, slot: usize| {
                    cols[slot % m][start + (step * per + i) * rpc + slot / m]
                };
                let gains: Vec<_> = (0..steps)
                    .map(|s| gather(&|i, slot| f(at(&lanes.y, s, i, slot)), tile, to))
                    .collect();
                let zs: Vec<_> = (0..steps)
                    .map(|s| {
                        gather(
                            &|i, slot| {
                                f(at(&lanes.q, s, i, slot)) * scale + f(at(&lanes.r, s, i, slot))
                            },
                            tile,
                            to,
                        )
                    })
                    .collect();
                let src = tensors[p.input.0].clone();
                let v = |n: usize, c: usize, y: usize, x: usize, tap: usize| {
                    let iy = (y * p.stride.0 + tap / p.kernel.1) as isize - p.padding.top as isize;
                    let ix = (x * p.stride.1 + tap % p.kernel.1) as isize - p.padding.left as isize;
                    if iy < 0 || ix < 0 || iy >= from.height as isize || ix >= from.width as isize {
                        Fr::zero()
                    } else {
                        src[n][(c * from.height + iy as usize) * from.width + ix as usize]
                    }
                };
                let offset = Fr::from(1u64 << (a.range_bits - 1));
                let (mut left, mut right) = (Fr::zero(), Fr::zero());
                let mut out = vec![vec![Fr::zero(); to.cells()]; n_samples];
                for slot in 0..slots {
                    let (n, ty, tx) = where_(slot);
                    let wz = pow(ch.zeta, slot);
                    for c in 0..tile.channels {
                        for y in 0..tile.height {
                            for x in 0..tile.width {
                                let i = (c * tile.height + y) * tile.width + x;
                                let (fy, fx) = (ty * tile.height + y, tx * tile.width + x);
                                let j = (c * to.height + fy) * to.width + fx;
                                let mut cur = v(n, c, fy, fx, 0);
                                for s in 0..steps {
                                    // order of the identity in t: cell major, steps within
                                    let wt = pow(ch.t, i * steps + s) * wz;
                                    left += wt * zs[s][n][j];
                                    right += wt * scale * (v(n, c, fy, fx, s + 1) - cur + offset);
                                    cur += gains[s][n][j];
                                }
                                out[n][j] = cur;
                            }
                        }
                    }
                }
                tensors.push(out);
                whole.push(false);
                let &(l, r) = equal.next().unwrap();
                assert_eq!(value(&mut claims, l), left, "max pool left");
                assert_eq!(value(&mut claims, r), right, "max pool right");
            }
            Layer::Linear(lin) => {
                let is_whole = cut && lin.terms.iter().all(|t| whole[t.input.0]);
                whole.push(is_whole);
                let logits = lin.output == Output::Logits;
                // weights by run: extended with pads
                let mut term_runs = vec![];
                let mut take = || {
                    let r = layout.weights().runs()[run_index];
                    run_index += 1;
                    r
                };
                for t in &lin.terms {
                    let inp = shapes[t.input.0].channels;
                    term_runs.push(
                        (0..inp * t.kernel.0 * t.kernel.1)
                            .map(|_| take())
                            .collect::<Vec<_>>(),
                    );
                }
                let bias = take();
                let weight = |run: &Run, o: usize| -> Fr {
                    if run.narrow {
                        assert!(run.rows == run.length);
                        if o < run.length {
                            model[0][run.start + o]
                        } else {
                            Fr::zero()
                        }
                    } else if o < run.rows * w {
                        model[o % w][run.start + o / w]
                    } else {
                        Fr::zero()
                    }
                };
                let outs = to.channels;
                let wide = outs.div_ceil(w) * w; // phantom ones too
                if wide > outs {
                    stats[1] += 1;
                }
                let tile = if is_whole || !cut {
                    to
                } else {
                    Shape::new(outs, to.height / r_tiles, to.width / c_tiles)
                };
                let positions = tile.positions();
                let mut right = Fr::zero();
                let acc = |n: usize, fy: usize, fx: usize| -> Vec<Fr> {
                    let mut z: Vec<Fr> = (0..wide).map(|o| weight(&bias, o)).collect();
                    for (t, runs) in lin.terms.iter().zip(&term_runs) {
                        let from = shapes[t.input.0];
                        let per = from.channels / t.groups;
                        let og = outs / t.groups;
                        for c in 0..from.channels {
                            for ky in 0..t.kernel.0 {
                                for kx in 0..t.kernel.1 {
                                    let iy =
                                        (fy * t.stride.0 + ky) as isize - t.padding.top as isize;
                                    let ix =
                                        (fx * t.stride.1 + kx) as isize - t.padding.left as isize;
                                    let x = if iy < 0
                                        || ix < 0
                                        || iy >= from.height as isize
                                        || ix >= from.width as isize
                                    {
                                        Fr::from(u64::from(t.padding.value))
                                    } else {
                                        tensors[t.input.0][n][(c * from.height + iy as usize)
                                            * from.width
                                            + ix as usize]
                                    };
                                    let run = &runs[(c * t.kernel.0 + ky) * t.kernel.1 + kx];
                                    assert_eq!(run.length, og);
                                    let most = if t.groups == 1 { wide } else { og };
                                    for o in 0..most {
                                        z[c / per * og + o] += weight(run, o) * x;
                                    }
                                }
                            }
                        }
                    }
                    z
                };
                if logits {
                    for n in 0..n_samples {
                        for (o, z) in acc(n, 0, 0).into_iter().enumerate() {
                            right += pow(ch.zeta, n) * pow(ch.eta, o) * z;
                        }
                    }
                    let mut left = Fr::zero();
                    for n in 0..n_samples {
                        for o in 0..outs {
                            left += pow(ch.zeta, n)
                                * pow(ch.eta, o)
                                * f(lanes.q[0][layout.score().class(n, o)]);
                        }
                    }
                    let &(l, r) = equal.next().unwrap();
                    assert_eq!(value(&mut claims, l), left, "logits left");
                    assert_eq!(value(&mut claims, r), right, "logits right");
                    tensors.push(vec![]);
                    continue;
                }
                for slot in 0..slots {
                    let (n, ty, tx) = where_(slot);
                    for y in 0..tile.height {
                        for x in 0..tile.width {
                            let p = y * tile.width + x;
                            let wt = pow(ch.t, p) * pow(ch.zeta, slot);
                            for (o, z) in acc(n, ty * tile.height + y, tx * tile.width + x)
                                .into_iter()
                                .enumerate()
                            {
                                right += wt * pow(ch.eta, o) * z;
                            }
                        }
                    }
                }
                let (start, tile2) = next_lane(1, to);
                assert_eq!(tile2, tile);
                let mut left = Fr::zero();
                for slot in 0..slots {
                    for o in 0..outs {
                        for p in 0..positions {
                            let row = start + (o * positions + p) * rpc + slot / m;
                            let z = f(lanes.q[slot % m][row]) * scale + f(lanes.r[slot % m][row]);
                            left += pow(ch.zeta, slot) * pow(ch.eta, o) * pow(ch.t, p) * z;
                        }
                    }
                }
                let &(l, r) = equal.next().unwrap();
                assert_eq!(value(&mut claims, l), left, "left of layer {li}");
                assert_eq!(value(&mut claims, r), right, "right of layer {li}");
                tensors.push(gather(
                    &|i, slot| f(lanes.y[slot % m][start + i * rpc + slot / m]),
                    tile,
                    to,
                ));
            }
        }
    }
    assert!(equal.next().is_none());
    assert_eq!(run_index, layout.weights().runs().len());
    stats[0] += 1;
    stats[2] += usize::from(w > 1);
    stats[4] += usize::from(layout.reach() != Reach::default());
    stats[5] += usize::from(cut);
}

#[test]
fn both_sides_of_every_identity_are_the_layers() {
    let mut runner = TestRunner::deterministic();
    let strategy = prop_oneof![1 => crate::recipe::recipe(), 3 => crate::recipe::cut::recipe()];
    let mut stats = [0; 6];
    let cases = 100;
    for _ in 0..cases {
        let recipe = strategy.new_tree(&mut runner).unwrap().current();
        let mut rng = StdRng::seed_from_u64(recipe.seed);
        let network = recipe.network(&mut rng);
        let layout = recipe.layout(&network);
        check(&layout, &mut rng, &mut stats);
    }
    // These recipes have few weights; more columns of them are below.
    assert!([0, 3, 4, 5].iter().all(|&i| stats[i] > 0), "{stats:?}");
}

fn conv(
    input: usize,
    k: (usize, usize),
    s: (usize, usize),
    rng: &mut StdRng,
    groups: usize,
) -> Term {
    let around = (k.0 - s.0, k.1 - s.1);
    let (top, left) = (rng.gen_range(0..=around.0), rng.gen_range(0..=around.1));
    Term {
        input: TensorId(input),
        kernel: k,
        stride: s,
        groups,
        padding: Padding {
            top,
            left,
            bottom: around.0 - top,
            right: around.1 - left,
            value: rng.gen(),
        },
    }
}
fn lin(terms: Vec<Term>, shape: Shape, output: Output) -> Layer {
    Layer::Linear(Linear {
        name: "".into(),
        terms,
        shape,
        output,
    })
}

#[test]
fn so_are_they_over_many_weight_columns() {
    let mut stats = [0; 6];
    let mut columns = std::collections::BTreeMap::new();
    let mut refused = 0;
    for seed in 0..100u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let grid = Grid {
            rows: rng.gen_range(1..=3),
            columns: rng.gen_range(1..=4),
        };
        let cut = grid != Grid::WHOLE;
        let h = |n: usize| n * grid.rows;
        let w = |n: usize| n * grid.columns;
        let kk = |rng: &mut StdRng, s: usize, most: usize| rng.gen_range(s..=most.max(s));
        let mut layers = vec![];
        let input = Shape::new(2, h(4), w(4));
        // 1: mixed groups from the image, stride 2
        let (a, b) = (kk(&mut rng, 2, 5.min(h(4))), kk(&mut rng, 2, 5.min(w(4))));
        layers.push(lin(
            vec![
                conv(0, (a, b), (2, 2), &mut rng, 2),
                conv(0, (2, 2), (2, 2), &mut rng, 1),
            ],
            Shape::new(4, h(2), w(2)),
            Output::Activation,
        ));
        // 2: max pool to one position a tile
        layers.push(Layer::MaxPool(MaxPool {
            name: "".into(),
            input: TensorId(1),
            kernel: (2, 1 + seed as usize % 2),
            stride: (2, 2),
            padding: Padding::default(),
        }));
        // 3: sum pool
        layers.push(Layer::SumPool(SumPool {
            name: "".into(),
            input: TensorId(1),
            kernel: (2, 2),
            stride: (2, 2),
        }));
        // 4: reads max pool, sums, activations, image, mixed groups
        let o = 4;
        let mut terms = vec![];
        for _ in 0..rng.gen_range(1..=3) {
            let g = [1, 2, 4][rng.gen_range(0..3)];
            let (y, x) = (kk(&mut rng, 1, 3.min(h(1))), kk(&mut rng, 1, 4.min(w(1))));
            terms.push(match rng.gen_range(0..3) {
                0 => conv(2, (y, x), (1, 1), &mut rng, g),
                1 => conv(3, (y, x), (1, 1), &mut rng, g),
                _ => {
                    let (y, x) = (kk(&mut rng, 2, 4.min(h(2))), kk(&mut rng, 2, 5.min(w(2))));
                    conv(1, (y, x), (2, 2), &mut rng, g)
                }
            });
        }
        layers.push(lin(terms, Shape::new(o, h(1), w(1)), Output::Activation));
        // 5: wide
        let c = rng.gen_range(3..60);
        let (y, x) = (kk(&mut rng, 1, 2.min(h(1))), kk(&mut rng, 1, 4.min(w(1))));
        let mut terms = vec![conv(4, (y, x), (1, 1), &mut rng, 1)];
        if rng.gen() {
            terms.push(conv(2, (1, 1), (1, 1), &mut rng, 1));
        }
        layers.push(lin(terms, Shape::new(c, h(1), w(1)), Output::Activation));
        layers.push(Layer::SumPool(SumPool {
            name: "".into(),
            input: TensorId(5),
            kernel: (h(1), w(1)),
            stride: (1, 1),
        }));
        let mut last = 6;
        if rng.gen() {
            layers.push(Layer::Flatten { input: TensorId(6) });
            last = 7;
        }
        let classes = rng.gen_range(2..150);
        layers.push(lin(
            vec![Term {
                input: TensorId(last),
                kernel: (1, 1),
                stride: (1, 1),
                padding: Padding::default(),
                groups: 1,
            }],
            Shape::new(classes, 1, 1),
            Output::Logits,
        ));
        let arch = Architecture {
            input,
            fraction_bits: rng.gen_range(4..=5),
            range_bits: 9,
            layers,
        };
        let mut lanes = 8usize.div_ceil(grid.columns) * grid.columns;
        if rng.gen() {
            lanes += grid.columns;
        }
        let unit = lanes / grid.columns;
        let samples = match grid.rows {
            1 => unit * rng.gen_range(1..=3),
            _ => unit,
        };
        let layout = (9..=13).find_map(|k| {
            Layout::new(
                arch.clone(),
                LayoutOptions {
                    k,
                    lanes,
                    samples,
                    grid,
                    top_k: 1,
                },
            )
            .ok()
        });
        let Some(layout) = layout else {
            refused += 1;
            continue;
        };
        *columns.entry(layout.weights().columns()).or_insert(0) += 1;
        let _ = cut;
        check(&layout, &mut rng, &mut stats);
    }
    assert!(
        stats.iter().all(|&n| n > 0) && refused == 0,
        "{stats:?}, {refused} refused"
    );
    assert!(columns.keys().any(|&n| n > 4), "{columns:?}");
}
