//! The executor: plain Rust, the specification of what the circuit proves.
use super::*;
/// x
pub struct LinearWeights {
    /// x
    pub terms: Vec<Vec<i64>>,
    /// x
    pub bias: Vec<i64>,
}
/// x
pub struct Weights {
    /// x
    pub layers: Vec<LinearWeights>,
}
/// x
pub struct Network {
    /// x
    pub architecture: Architecture,
    /// x
    pub weights: Weights,
}
/// x
pub struct Trace {
    /// x
    pub accumulators: Vec<Vec<i64>>,
    /// x
    pub logits: Vec<i64>,
}
impl Network {
    /// x
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }
    /// x
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// x
    pub fn run(&self, pixels: &[u8]) -> Result<Trace, ()> {
        let shapes = self.architecture.shapes().unwrap();
        let mut tensors: Vec<Vec<i64>> = vec![pixels.iter().map(|&p| p as i64).collect()];
        let mut accumulators = vec![];
        let mut weights = self.weights.layers.iter();
        for (i, layer) in self.architecture.layers.iter().enumerate() {
            let out = shapes[i + 1];
            match layer {
                Layer::Flatten { input } => tensors.push(tensors[input.0].clone()),
                Layer::SumPool(p) => {
                    let inp = shapes[p.input.0];
                    let mut v = vec![];
                    for c in 0..out.channels {
                        for y in 0..out.height {
                            for x in 0..out.width {
                                let mut s = 0;
                                for ky in 0..p.kernel.0 {
                                    for kx in 0..p.kernel.1 {
                                        s += tensors[p.input.0][(c * inp.height
                                            + y * p.stride.0
                                            + ky)
                                            * inp.width
                                            + x * p.stride.1
                                            + kx];
                                    }
                                }
                                v.push(s);
                            }
                        }
                    }
                    tensors.push(v);
                }
                Layer::Linear(l) => {
                    let w = weights.next().unwrap();
                    let mut acc = vec![];
                    for o in 0..out.channels {
                        for y in 0..out.height {
                            for x in 0..out.width {
                                let mut s = w.bias[o];
                                for (t, tw) in l.terms.iter().zip(&w.terms) {
                                    let inp = shapes[t.input.0];
                                    let (icg, ocg) =
                                        (inp.channels / t.groups, out.channels / t.groups);
                                    let (g, oo) = (o / ocg, o % ocg);
                                    for ic in 0..icg {
                                        for ky in 0..t.kernel.0 {
                                            for kx in 0..t.kernel.1 {
                                                let iy = (y * t.stride.0 + ky) as isize
                                                    - t.padding.top as isize;
                                                let ix = (x * t.stride.1 + kx) as isize
                                                    - t.padding.left as isize;
                                                let v = if iy >= 0
                                                    && ix >= 0
                                                    && (iy as usize) < inp.height
                                                    && (ix as usize) < inp.width
                                                {
                                                    tensors[t.input.0][((g * icg + ic)
                                                        * inp.height
                                                        + iy as usize)
                                                        * inp.width
                                                        + ix as usize]
                                                } else {
                                                    t.padding.value as i64
                                                };
                                                s += v * tw[(((g * icg + ic) * t.kernel.0 + ky)
                                                    * t.kernel.1
                                                    + kx)
                                                    * ocg
                                                    + oo];
                                            }
                                        }
                                    }
                                }
                                acc.push(s);
                            }
                        }
                    }
                    tensors.push(
                        acc.iter()
                            .map(|a| (a >> self.architecture.fraction_bits).clamp(0, 255))
                            .collect(),
                    );
                    accumulators.push(acc);
                }
            }
        }
        let logits = accumulators.last().unwrap().clone();
        Ok(Trace {
            accumulators,
            logits,
        })
    }
}
