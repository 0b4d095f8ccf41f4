//! ONNX files that are quantized already, in both of their forms: by the file's own scales, without
//! images, and as a second reading of the file has them.

use crate::model::check::*;
use crate::model::*;
use zknode_circuit::network::import::onnx::proto::{element, TensorProto};
use zknode_circuit::network::import::{ImportError, Imported};
use zknode_circuit::network::{Layer, Network};

/// What a tensor is quantized to: its name, scale and zero point.
type Bytes = (&'static str, f32, i64);

const IMAGE: Bytes = ("image", 1.0 / 255.0, 0);

/// A file in the making, in one of the two forms.
#[derive(Clone)]
struct File {
    model: Model,
    /// Operators on integers, not floats between QuantizeLinear and DequantizeLinear.
    integers: bool,
    element: i32,
}

impl File {
    fn new(dims: &[i64], integers: bool, element: i32) -> Self {
        let mut file = Self {
            model: Model::new(dims),
            integers,
            element,
        };
        file.scale(IMAGE);
        file.add(
            "QuantizeLinear",
            &["image", "image.s", "image.z"],
            "image.q",
        );
        file
    }

    fn add(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.with(op, inputs, output, &[]);
    }

    fn with(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        with: &[zknode_circuit::network::import::onnx::proto::AttributeProto],
    ) {
        self.model = self.model.clone().node(op, inputs, output, with);
        if op.starts_with("Q")
            && op != "QLinearConv"
            && op != "QLinearMatMul"
            && op != "QuantizeLinear"
        {
            self.model.graph().node.last_mut().unwrap().domain = "com.microsoft".into();
        }
    }

    /// Constants of integers that are bytes or words.
    fn ints(&mut self, name: &str, dims: &[i64], values: &[i64], element: i32) {
        self.model.graph().initializer.push(TensorProto {
            dims: dims.to_vec(),
            data_type: element,
            int32_data: values.iter().map(|&v| v as i32).collect(),
            name: name.into(),
            ..TensorProto::default()
        });
    }

    fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.model = self.model.clone().constant(name, dims, values);
    }

    /// Scale and zero point of a tensor; zero points are given for unsigned bytes.
    fn scale(&mut self, (name, scale, zero_point): Bytes) {
        self.floats(&format!("{name}.s"), &[], &[scale]);
        let first = if self.element == element::INT8 {
            128
        } else {
            0
        };
        let element = self.element;
        self.ints(&format!("{name}.z"), &[], &[zero_point - first], element);
    }

    /// Weights with a scale for every output, which `axis` counts.
    fn weights(&mut self, name: &str, dims: &[i64], axis: usize, seed: u64) -> Vec<f32> {
        let count = dims.iter().product::<i64>() as usize;
        let values = numbers(count, seed).into_iter().map(|v| (v * 127.0) as i64);
        self.ints(name, dims, &values.collect::<Vec<_>>(), element::INT8);
        let outputs = dims[axis];
        let fan = (count as f32 / outputs as f32).sqrt();
        let scales = (0..outputs).map(|o| (1.0 + o as f32 / outputs as f32) / (64.0 * fan));
        let scales: Vec<f32> = scales.collect();
        self.floats(&format!("{name}.s"), &[outputs], &scales);
        self.ints(
            &format!("{name}.z"),
            &[outputs],
            &vec![0; outputs as usize],
            element::INT8,
        );
        scales
    }

    /// A bias in units of the products.
    fn bias(&mut self, name: &str, input: Bytes, weights: &[f32], seed: u64) {
        let count = weights.len();
        let values = numbers(count, seed)
            .into_iter()
            .map(|v| (v * 2000.0) as i64);
        self.ints(
            name,
            &[count as i64],
            &values.collect::<Vec<_>>(),
            element::INT32,
        );
        let scales: Vec<f32> = weights.iter().map(|w| w * input.1).collect();
        self.floats(&format!("{name}.s"), &[count as i64], &scales);
        self.ints(
            &format!("{name}.z"),
            &[count as i64],
            &vec![0; count],
            element::INT32,
        );
    }

    /// The float that a quantized value stands for.
    fn float(&mut self, name: &str, axis: Option<i64>) -> String {
        let out = format!("{name}.f");
        let made = self.model.graph().node.iter().any(|n| n.output[0] == out);
        if !made {
            let (s, z) = (format!("{name}.s"), format!("{name}.z"));
            let tensor = self
                .model
                .graph()
                .initializer
                .iter()
                .any(|t| t.name == name);
            let data = if tensor {
                name.to_owned()
            } else {
                format!("{name}.q")
            };
            let with: Vec<_> = axis.map(|axis| int("axis", axis)).into_iter().collect();
            self.with("DequantizeLinear", &[&data, &s, &z], &out, &with);
        }
        out
    }

    fn quantized(&mut self, from: &str, to: Bytes) {
        let names = ["s", "z", "q"].map(|part| format!("{}.{part}", to.0));
        self.add("QuantizeLinear", &[from, &names[0], &names[1]], &names[2]);
    }

    /// A convolution of three by three with a ReLU: on integers the zero point does its work.
    fn conv(&mut self, from: Bytes, to: Bytes, dims: [i64; 2], group: i64) {
        self.scale(to);
        let (w, b) = (format!("{}.w", to.0), format!("{}.b", to.0));
        let seed = dims[0] as u64 * 10 + group as u64;
        let weights = self.weights(&w, &[dims[0], dims[1], 3, 3], 0, seed);
        self.bias(&b, from, &weights, seed + 1);
        let with = [ints("pads", &[1; 4]), int("group", group)];
        if self.integers {
            let of = |name: &str| ["q", "s", "z"].map(|part| format!("{name}.{part}"));
            let [q, s, z] = of(from.0);
            let [out, os, oz] = of(to.0);
            let [_, ws, wz] = of(&w);
            let inputs = [&q, &s, &z, &w, &ws, &wz, &os, &oz, &b];
            self.with(
                "QLinearConv",
                &inputs.map(|name| name.as_str()),
                &out,
                &with,
            );
        } else {
            let inputs = [
                self.float(from.0, None),
                self.float(&w, Some(0)),
                self.float(&b, Some(0)),
            ];
            let sum = format!("{}.sum", to.0);
            self.with(
                "Conv",
                &inputs.each_ref().map(|name| name.as_str()),
                &sum,
                &with,
            );
            let sum = match to.2 {
                0 => {
                    let relu = format!("{}.relu", to.0);
                    self.add("Relu", &[&sum], &relu);
                    relu
                }
                _ => sum,
            };
            self.quantized(&sum, to);
        }
    }

    /// The greatest of every window: scale and zero point stay.
    fn max_pool(&mut self, from: Bytes, to: Bytes) {
        self.scale(to);
        let with = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        let out = format!("{}.q", to.0);
        if self.integers {
            self.with("MaxPool", &[&format!("{}.q", from.0)], &out, &with);
        } else {
            let (x, m) = (self.float(from.0, None), format!("{}.m", to.0));
            self.with("MaxPool", &[&x], &m, &with);
            self.quantized(&m, to);
        }
    }

    fn sum(&mut self, a: Bytes, b: Bytes, to: Bytes) {
        self.scale(to);
        if self.integers {
            let of = |name: &str| ["q", "s", "z"].map(|part| format!("{name}.{part}"));
            let ([q, s, z], [r, t, y], [out, os, oz]) = (of(a.0), of(b.0), of(to.0));
            let inputs = [&q, &s, &z, &r, &t, &y, &os, &oz];
            self.add("QLinearAdd", &inputs.map(|name| name.as_str()), &out);
        } else {
            let (x, y) = (self.float(a.0, None), self.float(b.0, None));
            let sum = format!("{}.sum", to.0);
            self.add("Add", &[&x, &y], &sum);
            self.quantized(&sum, to);
        }
    }

    fn average(&mut self, from: Bytes, to: Bytes) {
        self.scale(to);
        if self.integers {
            let of = |name: &str| ["q", "s", "z"].map(|part| format!("{name}.{part}"));
            let ([q, s, z], [out, os, oz]) = (of(from.0), of(to.0));
            let inputs = [&q, &s, &z, &os, &oz];
            let name = format!("{}.whole", to.0);
            self.add(
                "QLinearGlobalAveragePool",
                &inputs.map(|name| name.as_str()),
                &name,
            );
            self.add("Flatten", &[&name], &out);
        } else {
            let (x, m) = (self.float(from.0, None), format!("{}.m", to.0));
            self.add("GlobalAveragePool", &[&x], &m);
            let flat = format!("{}.flat", to.0);
            self.add("Flatten", &[&m], &flat);
            self.quantized(&flat, to);
        }
    }

    /// A dense layer; on integers with a bias QGemm, without one QLinearMatMul.
    fn dense(&mut self, from: Bytes, to: Bytes, [inputs, outputs]: [i64; 2], bias: bool) {
        self.scale(to);
        let (w, b) = (format!("{}.w", to.0), format!("{}.b", to.0));
        let weights = self.weights(&w, &[inputs, outputs], 1, 77);
        self.bias(&b, from, &weights, 78);
        let of = |name: &str| ["q", "s", "z"].map(|part| format!("{name}.{part}"));
        let ([q, s, z], [out, os, oz], [_, ws, wz]) = (of(from.0), of(to.0), of(&w));
        match (self.integers, bias) {
            (true, true) => {
                let inputs = [&q, &s, &z, &w, &ws, &wz, &b, &os, &oz];
                self.add("QGemm", &inputs.map(|name| name.as_str()), &out);
            }
            (true, false) => {
                let inputs = [&q, &s, &z, &w, &ws, &wz, &os, &oz];
                self.add("QLinearMatMul", &inputs.map(|name| name.as_str()), &out);
            }
            (false, bias) => {
                let (x, w) = (self.float(from.0, None), self.float(&w, Some(1)));
                let sum = format!("{}.sum", to.0);
                match bias {
                    true => {
                        let b = self.float(&b, None);
                        self.add("Gemm", &[&x, &w, &b], &sum);
                    }
                    false => self.add("MatMul", &[&x, &w], &sum),
                }
                self.quantized(&sum, to);
            }
        }
    }

    fn ended(mut self, last: Bytes) -> Model {
        let logits = self.float(last.0, None);
        self.model.output(&logits)
    }
}

/// Convolutions, one of them depthwise and one negative, a residual sum, poolings and dense layers.
fn residual(integers: bool, element: i32) -> Model {
    let (a, p) = (("a", 0.02, 0), ("p", 0.02, 0));
    let (b, c, sum) = (("b", 0.06, 130), ("c", 0.03, 0), ("sum", 0.035, 90));
    let (m, d, logits) = (("m", 0.03, 100), ("d", 0.02, 0), ("logits", 0.05, 120));
    let mut file = File::new(&[2, 8, 8], integers, element);
    file.conv(IMAGE, a, [4, 2], 1);
    file.max_pool(a, p);
    file.conv(p, c, [4, 1], 4);
    file.conv(c, b, [4, 4], 1);
    file.sum(p, b, sum);
    file.average(sum, m);
    file.dense(m, d, [4, 6], true);
    file.dense(d, logits, [6, 3], false);
    file.ended(logits)
}

fn without_images(model: &Model) -> Imported {
    model.import(&[]).unwrap()
}

/// Greatest distance from the second reading in steps of the logits, of the float model and the network.
fn distances(model: &Model, imported: &Imported, cells: usize, step: f64) -> (f64, f64) {
    let last = imported.report.layers.last().unwrap().linear.as_ref();
    let unit = last.unwrap().scale / 256.0;
    let (mut float, mut integer) = (0.0f64, 0.0f64);
    for image in images(24, cells, 3) {
        let x = image.iter().map(|&p| f64::from(p) / 255.0).collect();
        let expected = reference::run(model, x);
        let found = imported.float.logits(&image).unwrap();
        let run = imported.network.run(&image).unwrap().logits;
        for ((want, float_logit), logit) in expected.iter().zip(found).zip(run) {
            float = float.max((want - f64::from(float_logit)).abs() / step);
            integer = integer.max((want - logit as f64 * unit).abs() / step);
        }
    }
    (float, integer)
}

#[test]
fn both_forms_give_the_same_network() {
    for element in [element::UINT8, element::INT8] {
        let [floats, integers] = [false, true].map(|form| residual(form, element));
        let [a, b] = [&floats, &integers].map(without_images);
        assert!(a.float.is_quantized() && a.report.quantized_source);
        let (float, integer) = distances(&floats, &a, 128, 0.05);
        println!("float {float:.2}, integer {integer:.2} steps of the logits");
        assert!(float < 1.01 && integer < 4.0, "{float} {integer}");
        let (float, _) = distances(&integers, &b, 128, 0.05);
        assert!(float < 1.01, "{float}");
        let shape = |network: &Network| format!("{:?}", network.architecture()).len();
        assert_eq!(linears(&a.network), linears(&b.network));
        assert!(shape(&a.network) > 0);
        assert!(a.network.weights() == b.network.weights());
        let scales = |imported: &Imported| -> Vec<(f32, u8)> {
            let layers = imported.report.layers.iter();
            let linears = layers.filter_map(|l| l.linear.as_ref());
            linears.map(|l| (l.scale as f32, l.zero_point)).collect()
        };
        // The file's own; where a ReLU ends at its zero point there is nothing to gain.
        assert_eq!(scales(&a)[..2], [(0.02, 0), (0.03, 0)]);
        assert_eq!(scales(&a), scales(&b));
    }
}

#[test]
fn the_bytes_of_the_image_are_the_pixels() {
    let imported = without_images(&residual(false, element::INT8));
    let normalization = imported.float.normalization();
    assert!((normalization.scale[0] - 1.0 / 255.0).abs() < 1e-9);
    assert_eq!(normalization.offset, [0.0]);
}

#[test]
fn max_pooling_and_concatenation_of_integers() {
    for integers in [false, true] {
        let (a, b, p) = (("a", 0.02, 0), ("b", 0.05, 100), ("p", 0.02, 0));
        let (j, logits) = (("j", 0.05, 100), ("logits", 0.05, 100));
        let mut file = File::new(&[1, 4, 4], integers, element::UINT8);
        file.conv(IMAGE, a, [2, 1], 1);
        file.max_pool(a, p);
        file.conv(p, b, [3, 2], 1);
        file.scale(j);
        if integers {
            let inputs = ["j.s", "j.z", "p.q", "p.s", "p.z", "b.q", "b.s", "b.z"];
            file.with("QLinearConcat", &inputs, "j.q", &[int("axis", 1)]);
        } else {
            let (x, y) = (file.float("p", None), file.float("b", None));
            file.with("Concat", &[&x, &y], "j.sum", &[int("axis", 1)]);
            file.quantized("j.sum", j);
        }
        file.average(j, ("m", 0.03, 100));
        file.dense(("m", 0.03, 100), logits, [5, 3], true);
        let imported = without_images(&file.ended(logits));
        let pools = imported.network.architecture().layers.iter();
        assert_eq!(pools.filter(|l| matches!(l, Layer::MaxPool(_))).count(), 1);
        assert_eq!(linears(&imported.network), 3);
    }
}

#[test]
fn quantized_files_that_are_refused() {
    let changed = |change: &dyn Fn(&mut Model)| {
        let mut model = residual(true, element::UINT8);
        change(&mut model);
        model
            .import(&[])
            .err()
            .map_or(String::new(), |e| e.to_string())
    };
    let tensor = |model: &mut Model, name: &str, change: &dyn Fn(&mut TensorProto)| {
        let all = &mut model.graph().initializer;
        change(all.iter_mut().find(|t| t.name == name).unwrap());
    };
    let cases: [(String, &str); 9] = [
        (
            changed(&|m| tensor(m, "a.s", &|t| t.float_data[0] = 0.0)),
            "positive and finite",
        ),
        (
            changed(&|m| tensor(m, "a.s", &|t| t.float_data[0] = 0.5)),
            "another scale or zero point",
        ),
        (
            changed(&|m| tensor(m, "a.w.s", &|t| t.float_data[1] = -1.0)),
            "positive and finite",
        ),
        (
            changed(&|m| tensor(m, "a.z", &|t| t.int32_data[0] = 300)),
            "beyond a byte",
        ),
        (
            changed(&|m| tensor(m, "a.z", &|t| t.data_type = element::INT32)),
            "int8 or uint8",
        ),
        (
            changed(&|m| tensor(m, "a.w", &|t| t.data_type = element::FLOAT)),
            "does not go with",
        ),
        (
            changed(&|m| m.graph().node[1].input[0] = "image".into()),
            "must be quantized",
        ),
        (
            changed(&|m| m.graph().node[1].op_type = "ConvInteger".into()),
            "supported are",
        ),
        (
            changed(&|m| {
                let node = &mut m.graph().node[2];
                node.op_type = "Relu".into();
                node.attribute.clear();
            }),
            "a DequantizeLinear must come",
        ),
    ];
    for (error, expected) in cases {
        assert!(
            error.contains(expected),
            "{error:?} does not say {expected}"
        );
    }
    let mut model = residual(false, element::UINT8);
    model.graph().node[0].op_type = "DequantizeLinear".into();
    assert!(matches!(model.import(&[]), Err(ImportError::Form { .. })));
}

#[test]
fn extreme_constants_do_not_panic() {
    for integers in [false, true] {
        let model = residual(integers, element::INT8);
        let count = model.clone().graph().initializer.len();
        for index in 0..count {
            let mut changed = vec![];
            for extreme in [i64::MIN, -1, 0, 1, 1 << 33, i64::MAX] {
                for side in 0..model.clone().graph().initializer[index].dims.len() {
                    let mut model = model.clone();
                    model.graph().initializer[index].dims[side] = extreme;
                    changed.push(model);
                }
            }
            for kind in [0, 1, 2, 3, 6, 7, 9, 10, 11] {
                let mut model = model.clone();
                model.graph().initializer[index].data_type = kind;
                changed.push(model);
            }
            for extreme in [i32::MIN, -129, 128, 256, i32::MAX] {
                let mut model = model.clone();
                let tensor = &mut model.graph().initializer[index];
                tensor.int32_data.iter_mut().for_each(|v| *v = extreme);
                changed.push(model);
            }
            for extreme in [f32::MIN, -1.0, 0.0, 1e-45, 1e-30, f32::MAX, f32::NAN] {
                let mut model = model.clone();
                let tensor = &mut model.graph().initializer[index];
                tensor.float_data.iter_mut().for_each(|v| *v = extreme);
                changed.push(model);
            }
            for model in changed {
                // Some of them are as good as before.
                let _ = model.float();
            }
        }
    }
}
