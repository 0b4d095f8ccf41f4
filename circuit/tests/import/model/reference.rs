//! A second reading of ONNX: every node by the book, in double precision, nothing folded.

use super::Model;
use std::collections::HashMap;
use zknode_circuit::network::import::onnx::proto::{NodeProto, TensorProto};

/// Shape without the batch, and elements.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub dims: Vec<usize>,
    pub data: Vec<f64>,
}

/// The model's output for the input `x`.
pub fn run(model: &Model, x: Vec<f64>) -> Vec<f64> {
    let graph = model.0.graph.as_ref().unwrap();
    let input = graph.input[0].r#type.as_ref().unwrap();
    let shape = input.tensor_type.as_ref().unwrap().shape.as_ref().unwrap();
    let dims = shape.dim[1..]
        .iter()
        .map(|d| d.dim_value.unwrap() as usize)
        .collect();
    let mut values = HashMap::from([("image".to_owned(), Tensor { dims, data: x })]);
    let constants: HashMap<_, _> = graph
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t))
        .collect();
    for node in &graph.node {
        let value = eval(node, &values, &constants);
        values.insert(node.output[0].clone(), value);
    }
    values[&graph.output[0].name].data.clone()
}

struct Reader<'a> {
    node: &'a NodeProto,
    values: &'a HashMap<String, Tensor>,
    constants: &'a HashMap<&'a str, &'a TensorProto>,
}

impl Reader<'_> {
    fn ints(&self, name: &str, default: &[i64]) -> Vec<usize> {
        let found = self.node.attribute.iter().find(|a| a.name == name);
        let values = found.map_or(default, |a| &a.ints);
        values.iter().map(|&v| v as usize).collect()
    }
    fn int(&self, name: &str, default: i64) -> i64 {
        let found = self.node.attribute.iter().find(|a| a.name == name);
        found.map_or(default, |a| a.i)
    }
    fn float(&self, name: &str, default: f64) -> f64 {
        let found = self.node.attribute.iter().find(|a| a.name == name);
        found.map_or(default, |a| f64::from(a.f))
    }
    fn constant(&self, index: usize) -> Option<Tensor> {
        let name = self.node.input.get(index)?;
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        let tensor = self.constants.get(name.as_str())?;
        Some(Tensor {
            dims: tensor.dims.iter().map(|&d| d as usize).collect(),
            data: match tensor.float_data.is_empty() {
                false => tensor.float_data.iter().map(|&v| f64::from(v)).collect(),
                true => tensor.int32_data.iter().map(|&v| f64::from(v)).collect(),
            },
        })
    }
}

fn eval(
    node: &NodeProto,
    values: &HashMap<String, Tensor>,
    constants: &HashMap<&str, &TensorProto>,
) -> Tensor {
    let reader = Reader {
        node,
        values,
        constants,
    };
    let tensor = |index: usize| values.get(&node.input[index]);
    let x = || tensor(0).unwrap().clone();
    if node.op_type == "DequantizeLinear" && tensor(0).is_none() {
        return weights(&reader, 0, reader.int("axis", 0) as usize);
    }
    match node.op_type.as_str() {
        "QuantizeLinear" => quantized(&reader, &x(), 1),
        "DequantizeLinear" => real(&x(), &reader, 1, 0),
        "QLinearConv" => {
            let (x, w) = (real(&x(), &reader, 1, 0), weights(&reader, 3, 0));
            let products = reader.constant(4).unwrap().data;
            let input = reader.constant(1).unwrap().data[0];
            let bias = reader.constant(8).unwrap().data;
            let bias = bias.iter().zip(&products).map(|(b, s)| b * s * input);
            let sum = convolution(&reader, x, w, bias.collect());
            quantized(&reader, &sum, 6)
        }
        "QLinearMatMul" | "QGemm" => {
            let (x, w) = (real(&x(), &reader, 1, 0), weights(&reader, 3, 1));
            let outputs = w.dims[1];
            let bias: Vec<f64> = match node.op_type == "QGemm" {
                false => vec![0.0; outputs],
                true => {
                    let products = reader.constant(4).unwrap().data;
                    let input = reader.constant(1).unwrap().data[0];
                    let bias = reader.constant(6).unwrap().data;
                    bias.iter()
                        .zip(&products)
                        .map(|(b, s)| b * s * input)
                        .collect()
                }
            };
            let data = (0..outputs).map(|o| {
                let products = x
                    .data
                    .iter()
                    .enumerate()
                    .map(|(i, v)| v * w.data[i * outputs + o]);
                bias[o] + products.sum::<f64>()
            });
            let sum = Tensor {
                dims: vec![outputs],
                data: data.collect(),
            };
            quantized(&reader, &sum, if node.op_type == "QGemm" { 7 } else { 6 })
        }
        "QLinearAdd" => {
            let (a, b) = (
                real(&x(), &reader, 1, 0),
                real(tensor(3).unwrap(), &reader, 4, 0),
            );
            let data = a.data.iter().zip(&b.data).map(|(a, b)| a + b).collect();
            quantized(&reader, &Tensor { data, ..a }, 6)
        }
        "QLinearGlobalAveragePool" => {
            let x = real(&x(), &reader, 1, 0);
            let whole = x.dims[1..].to_vec();
            quantized(&reader, &pool(x, whole, vec![1, 1]), 3)
        }
        "Conv" => conv(&reader, x()),
        "Gemm" => {
            let (x, w) = (x(), reader.constant(1).unwrap());
            let transposed = reader.int("transB", 0) != 0;
            let outputs = w.dims[usize::from(!transposed)];
            let bias = reader.constant(2).map_or(vec![0.0], |c| c.data);
            let data = (0..outputs).map(|o| {
                let at = |i: usize| {
                    w.data[if transposed {
                        o * w.dims[1] + i
                    } else {
                        i * w.dims[1] + o
                    }]
                };
                let sum: f64 = x.data.iter().enumerate().map(|(i, v)| v * at(i)).sum();
                reader.float("alpha", 1.0) * sum + reader.float("beta", 1.0) * bias[o % bias.len()]
            });
            Tensor {
                dims: vec![outputs],
                data: data.collect(),
            }
        }
        "MatMul" => {
            let (x, w) = (x(), reader.constant(1).unwrap());
            let outputs = w.dims[1];
            let data = (0..outputs).map(|o| {
                x.data
                    .iter()
                    .enumerate()
                    .map(|(i, v)| v * w.data[i * outputs + o])
                    .sum()
            });
            Tensor {
                dims: vec![outputs],
                data: data.collect(),
            }
        }
        "Add" | "Sub" | "Mul" | "Div" => {
            let (a, b) = (tensor(0).cloned(), tensor(1).cloned());
            let dims = a.clone().or(b.clone()).unwrap().dims;
            let all = |t: Option<Tensor>, index| {
                let t = t.unwrap_or_else(|| reader.constant(index).unwrap());
                let cells: usize = dims.iter().product();
                let each = cells / t.data.len();
                t.data
                    .iter()
                    .flat_map(|&v| vec![v; each])
                    .collect::<Vec<_>>()
            };
            let data =
                all(a, 0)
                    .into_iter()
                    .zip(all(b, 1))
                    .map(|(a, b)| match node.op_type.as_str() {
                        "Add" => a + b,
                        "Sub" => a - b,
                        "Mul" => a * b,
                        _ => a / b,
                    });
            Tensor {
                data: data.collect(),
                dims,
            }
        }
        "BatchNormalization" => {
            let mut x = x();
            let p: Vec<_> = (1..5).map(|i| reader.constant(i).unwrap().data).collect();
            let each = x.data.len() / x.dims[0];
            for (i, v) in x.data.iter_mut().enumerate() {
                let c = i / each;
                let spread = (p[3][c] + reader.float("epsilon", 1e-5)).sqrt();
                *v = (*v - p[2][c]) / spread * p[0][c] + p[1][c];
            }
            x
        }
        "Relu" => Tensor {
            data: x().data.iter().map(|v| v.max(0.0)).collect(),
            ..x()
        },
        "Clip" => {
            let low = reader.constant(1).map_or(f64::NEG_INFINITY, |c| c.data[0]);
            let high = reader.constant(2).map_or(f64::INFINITY, |c| c.data[0]);
            Tensor {
                data: x().data.iter().map(|v| v.max(low).min(high)).collect(),
                ..x()
            }
        }
        "AveragePool" => pool(
            x(),
            reader.ints("kernel_shape", &[]),
            reader.ints("strides", &[1, 1]),
        ),
        "MaxPool" => {
            let x = pad(
                x(),
                pads(&reader, &tensor(0).unwrap().dims),
                f64::NEG_INFINITY,
            );
            let (kernel, strides) = (
                reader.ints("kernel_shape", &[]),
                reader.ints("strides", &[1, 1]),
            );
            window(x, kernel, strides, |cells| {
                cells.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            })
        }
        "GlobalMaxPool" => {
            let x = x();
            let whole = x.dims[1..].to_vec();
            window(x, whole, vec![1, 1], |cells| {
                cells.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            })
        }
        "Concat" => {
            let all: Vec<_> = (0..node.input.len()).map(|i| tensor(i).unwrap()).collect();
            let mut dims = all[0].dims.clone();
            dims[0] = all.iter().map(|t| t.dims[0]).sum();
            Tensor {
                dims,
                data: all.iter().flat_map(|t| t.data.clone()).collect(),
            }
        }
        "GlobalAveragePool" | "ReduceMean" => {
            let x = x();
            let window = x.dims[1..].to_vec();
            pool(x, window, vec![1, 1])
        }
        "Pad" => {
            let pads: Vec<usize> = constants[node.input[1].as_str()]
                .int64_data
                .iter()
                .map(|&p| p as usize)
                .collect();
            pad(x(), [pads[2], pads[3], pads[6], pads[7]], 0.0)
        }
        "Flatten" | "Reshape" | "Squeeze" => {
            let data = x().data;
            Tensor {
                dims: vec![data.len()],
                data,
            }
        }
        "Identity" | "Dropout" | "Softmax" => x(),
        op => panic!("the reference does not know {op}"),
    }
}

fn pad(x: Tensor, [top, left, bottom, right]: [usize; 4], border: f64) -> Tensor {
    let (c, h, w) = (x.dims[0], x.dims[1], x.dims[2]);
    let dims = vec![c, h + top + bottom, w + left + right];
    let mut data = vec![border; dims.iter().product()];
    for (i, v) in x.data.iter().enumerate() {
        let (channel, y, x) = (i / (h * w), i / w % h, i % w);
        data[(channel * dims[1] + y + top) * dims[2] + x + left] = *v;
    }
    Tensor { dims, data }
}

/// A tensor of integers as the numbers they stand for; scale and zero point are inputs `at` and the next.
fn real(x: &Tensor, reader: &Reader, at: usize, channel: usize) -> Tensor {
    let scale = reader.constant(at).unwrap().data[channel];
    let zero = reader.constant(at + 1).map_or(0.0, |z| z.data[channel]);
    Tensor {
        data: x.data.iter().map(|v| (v - zero) * scale).collect(),
        ..x.clone()
    }
}

/// The reverse; the type of the zero point tells which bytes there are.
fn quantized(reader: &Reader, x: &Tensor, at: usize) -> Tensor {
    let scale = reader.constant(at).unwrap().data[0];
    let zero = reader.constant(at + 1).unwrap().data[0];
    let signed = reader.constants[reader.node.input[at + 1].as_str()].data_type == 3;
    let (low, high) = if signed {
        (-128.0, 127.0)
    } else {
        (0.0, 255.0)
    };
    let byte = |v: &f64| ((v / scale).round_ties_even() + zero).clamp(low, high);
    Tensor {
        data: x.data.iter().map(byte).collect(),
        ..x.clone()
    }
}

/// A constant of integers with a scale for every side of an axis.
fn weights(reader: &Reader, at: usize, axis: usize) -> Tensor {
    let w = reader.constant(at).unwrap();
    let scales = reader.constant(at + 1).unwrap().data;
    let run: usize = w.dims[axis + 1..].iter().product();
    let each = w.data.iter().enumerate();
    let data = each.map(|(i, v)| v * scales[i / run % scales.len()]);
    Tensor {
        data: data.collect(),
        ..w
    }
}

/// Top, left, bottom, right, as `pads`, `auto_pad` or `ceil_mode` say.
fn pads(reader: &Reader, dims: &[usize]) -> [usize; 4] {
    let weights = if reader.node.op_type == "QLinearConv" {
        3
    } else {
        1
    };
    let weights = reader
        .constant(weights)
        .map_or(vec![], |w| w.dims[2..].to_vec());
    let kernel = reader.ints(
        "kernel_shape",
        &weights.iter().map(|&k| k as i64).collect::<Vec<_>>(),
    );
    let strides = reader.ints("strides", &[1, 1]);
    let same = |side: usize| {
        let (size, kernel, stride) = (dims[side + 1], kernel[side], strides[side]);
        let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
        (total / 2, total.div_ceil(2))
    };
    let (v, h) = (same(0), same(1));
    let auto = reader.node.attribute.iter().find(|a| a.name == "auto_pad");
    let mut pads: [usize; 4] = match auto.map(|a| a.s.as_slice()) {
        Some(b"SAME_UPPER") => [v.0, h.0, v.1, h.1],
        Some(b"SAME_LOWER") => [v.1, h.1, v.0, h.0],
        _ => reader.ints("pads", &[0, 0, 0, 0]).try_into().unwrap(),
    };
    if reader.int("ceil_mode", 0) != 0 {
        for side in 0..2 {
            let inside = dims[side + 1] + pads[side];
            while !(inside + pads[side + 2] - kernel[side]).is_multiple_of(strides[side]) {
                let next = (inside + pads[side + 2] - kernel[side]) / strides[side] + 1;
                if next * strides[side] >= inside {
                    break;
                }
                pads[side + 2] += 1;
            }
        }
    }
    pads
}

fn conv(reader: &Reader, x: Tensor) -> Tensor {
    let w = reader.constant(1).unwrap();
    let bias = reader.constant(2).map_or(vec![0.0; w.dims[0]], |b| b.data);
    convolution(reader, x, w, bias)
}

fn convolution(reader: &Reader, x: Tensor, w: Tensor, bias: Vec<f64>) -> Tensor {
    let (outputs, inputs, kh, kw) = (w.dims[0], w.dims[1], w.dims[2], w.dims[3]);
    let strides = reader.ints("strides", &[1, 1]);
    let x = pad(x.clone(), pads(reader, &x.dims), 0.0);
    let groups = reader.int("group", 1) as usize;
    let dims = vec![
        outputs,
        (x.dims[1] - kh) / strides[0] + 1,
        (x.dims[2] - kw) / strides[1] + 1,
    ];
    let mut data = vec![];
    for (o, bias) in bias.iter().enumerate() {
        for y in 0..dims[1] {
            for z in 0..dims[2] {
                let mut sum = *bias;
                for i in 0..inputs {
                    let c = o / (outputs / groups) * inputs + i;
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let cell = (c * x.dims[1] + y * strides[0] + ky) * x.dims[2];
                            sum += x.data[cell + z * strides[1] + kx]
                                * w.data[((o * inputs + i) * kh + ky) * kw + kx];
                        }
                    }
                }
                data.push(sum);
            }
        }
    }
    Tensor { dims, data }
}

fn pool(x: Tensor, kernel: Vec<usize>, strides: Vec<usize>) -> Tensor {
    window(x, kernel, strides, |cells| {
        cells.iter().sum::<f64>() / cells.len() as f64
    })
}

fn window(
    x: Tensor,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    of: impl Fn(&[f64]) -> f64,
) -> Tensor {
    let dims = vec![
        x.dims[0],
        (x.dims[1] - kernel[0]) / strides[0] + 1,
        (x.dims[2] - kernel[1]) / strides[1] + 1,
    ];
    let mut data = vec![];
    for c in 0..dims[0] {
        for y in 0..dims[1] {
            for z in 0..dims[2] {
                let mut cells = vec![];
                for ky in 0..kernel[0] {
                    for kx in 0..kernel[1] {
                        let row = (c * x.dims[1] + y * strides[0] + ky) * x.dims[2];
                        cells.push(x.data[row + z * strides[1] + kx]);
                    }
                }
                data.push(of(&cells));
            }
        }
    }
    Tensor { dims, data }
}
