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
        let tensor = self.constants.get(self.node.input.get(index)?.as_str())?;
        Some(Tensor {
            dims: tensor.dims.iter().map(|&d| d as usize).collect(),
            data: tensor.float_data.iter().map(|&v| f64::from(v)).collect(),
        })
    }
}

fn eval(
    node: &NodeProto,
    values: &HashMap<String, Tensor>,
    constants: &HashMap<&str, &TensorProto>,
) -> Tensor {
    let reader = Reader { node, constants };
    let tensor = |index: usize| values.get(&node.input[index]);
    let x = || tensor(0).unwrap().clone();
    match node.op_type.as_str() {
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
            pad(x(), [pads[2], pads[3], pads[6], pads[7]])
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

fn pad(x: Tensor, [top, left, bottom, right]: [usize; 4]) -> Tensor {
    let (c, h, w) = (x.dims[0], x.dims[1], x.dims[2]);
    let dims = vec![c, h + top + bottom, w + left + right];
    let mut data = vec![0.0; dims.iter().product()];
    for (i, v) in x.data.iter().enumerate() {
        let (channel, y, x) = (i / (h * w), i / w % h, i % w);
        data[(channel * dims[1] + y + top) * dims[2] + x + left] = *v;
    }
    Tensor { dims, data }
}

fn conv(reader: &Reader, x: Tensor) -> Tensor {
    let w = reader.constant(1).unwrap();
    let (outputs, inputs, kh, kw) = (w.dims[0], w.dims[1], w.dims[2], w.dims[3]);
    let strides = reader.ints("strides", &[1, 1]);
    let auto = reader.node.attribute.iter().find(|a| a.name == "auto_pad");
    let same = |size: usize, kernel: usize, stride: usize| {
        let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
        (total / 2, total.div_ceil(2))
    };
    let (v, h) = (
        same(x.dims[1], kh, strides[0]),
        same(x.dims[2], kw, strides[1]),
    );
    let pads = match auto.map(|a| a.s.as_slice()) {
        Some(b"SAME_UPPER") => vec![v.0, h.0, v.1, h.1],
        Some(b"SAME_LOWER") => vec![v.1, h.1, v.0, h.0],
        _ => reader.ints("pads", &[0, 0, 0, 0]),
    };
    let x = pad(x, pads.try_into().unwrap());
    let bias = reader.constant(2).map_or(vec![0.0; outputs], |b| b.data);
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
    let dims = vec![
        x.dims[0],
        (x.dims[1] - kernel[0]) / strides[0] + 1,
        (x.dims[2] - kernel[1]) / strides[1] + 1,
    ];
    let mut data = vec![];
    for c in 0..dims[0] {
        for y in 0..dims[1] {
            for z in 0..dims[2] {
                let mut sum = 0.0;
                for ky in 0..kernel[0] {
                    for kx in 0..kernel[1] {
                        let row = (c * x.dims[1] + y * strides[0] + ky) * x.dims[2];
                        sum += x.data[row + z * strides[1] + kx];
                    }
                }
                data.push(sum / (kernel[0] * kernel[1]) as f64);
            }
        }
    }
    Tensor { dims, data }
}
