//! Random small networks: the folded model agrees with a second reading of the file, and the integer
//! network stays close to it.

use crate::model::*;
use rand::{rngs::StdRng, Rng, SeedableRng};
use zknode_circuit::network::import::onnx::proto::AttributeProto;
use zknode_circuit::network::import::{self, ImportError, ImportOptions, Normalization};

/// A network in the making: its file and the tensor it has come to.
struct Chain {
    model: Model,
    rng: StdRng,
    tensor: String,
    dims: [i64; 3],
    count: usize,
}

impl Chain {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let dims = [
            rng.gen_range(1..4),
            rng.gen_range(4..8),
            rng.gen_range(4..8),
        ];
        Self {
            model: Model::new(&dims),
            rng,
            tensor: "image".into(),
            dims,
            count: 0,
        }
    }

    fn constant(&mut self, dims: &[i64], reach: f32) -> String {
        self.count += 1;
        let name = format!("k{}", self.count);
        let count = dims.iter().product::<i64>();
        let values: Vec<f32> = (0..count)
            .map(|_| self.rng.gen_range(-reach..reach))
            .collect();
        self.model = self.model.clone().constant(&name, dims, &values);
        name
    }

    fn node(&mut self, op: &str, constants: &[&str], with: &[AttributeProto]) {
        self.count += 1;
        let output = format!("t{}", self.count);
        let mut inputs = vec![self.tensor.as_str()];
        inputs.extend(constants);
        self.model = self.model.clone().node(op, &inputs, &output, with);
        self.tensor = output;
    }

    fn conv(&mut self, outputs: i64, groups: i64) {
        let [channels, height, width] = self.dims;
        let kernel = [
            self.rng.gen_range(1..=3.min(height)),
            self.rng.gen_range(1..=3.min(width)),
        ];
        let strides = [self.rng.gen_range(1..3), self.rng.gen_range(1..3)];
        let pads: Vec<i64> = (0..4)
            .map(|i| self.rng.gen_range(0..kernel[i % 2]))
            .collect();
        let reach = 1.0 / ((channels / groups * kernel[0] * kernel[1]) as f32).sqrt();
        let w = self.constant(&[outputs, channels / groups, kernel[0], kernel[1]], reach);
        let b = self.constant(&[outputs], 0.2);
        self.dims = [
            outputs,
            (height + pads[0] + pads[2] - kernel[0]) / strides[0] + 1,
            (width + pads[1] + pads[3] - kernel[1]) / strides[1] + 1,
        ];
        let with = [
            ints("pads", &pads),
            ints("strides", &strides),
            int("group", groups),
        ];
        self.node("Conv", &[&w, &b], &with);
    }

    /// One random operation.
    fn step(&mut self) {
        let channels = self.dims[0];
        match self.rng.gen_range(0..9) {
            0 => self.conv(channels, channels),
            1 | 2 => {
                let outputs = self.rng.gen_range(2..6);
                self.conv(outputs, 1);
            }
            3 => self.node("Relu", &[], &[]),
            4 => {
                let parts = [0.8, 0.3, 0.3].map(|reach| self.constant(&[channels], reach));
                let v = self.constant(&[channels], 0.0001);
                let inputs = [&*parts[0], &*parts[1], &*parts[2], &*v];
                self.node("BatchNormalization", &inputs, &[float("epsilon", 0.5)]);
            }
            5 => {
                let before = self.tensor.clone();
                let w = self.constant(&[channels, channels, 1, 1], 0.5);
                self.node("Conv", &[&w], &[]);
                self.node("Add", &[&before], &[]);
            }
            6 => {
                let before = self.tensor.clone();
                let w = self.constant(&[channels, channels, 1, 1], 0.5);
                self.node("Conv", &[&w], &[]);
                self.node("Concat", &[&before], &[int("axis", 1)]);
                self.dims[0] *= 2;
            }
            7 if self.dims[1] > 1 && self.dims[2] > 1 => {
                let [_, height, width] = self.dims;
                self.dims = [channels, (height + height % 2 - 1) / 2 + 1, width];
                let with = [
                    ints("kernel_shape", &[2, 2]),
                    ints("strides", &[2, 1]),
                    ints("pads", &[1, 0, height % 2, 1]),
                ];
                self.node("MaxPool", &[], &with);
            }
            _ if self.dims[1] > 1 && self.dims[2] > 1 => {
                self.dims = [channels, self.dims[1] - 1, self.dims[2] - 1];
                self.node("AveragePool", &[], &[ints("kernel_shape", &[2, 2])]);
            }
            _ => (),
        }
    }

    fn end(mut self) -> Model {
        let cells = self.dims.iter().product::<i64>();
        self.node("Flatten", &[], &[]);
        let w = self.constant(&[cells, 4], 1.0);
        let b = self.constant(&[4], 0.2);
        self.node("Gemm", &[&w, &b], &[]);
        self.model.output(&self.tensor)
    }
}

/// Greatest error of the integer logits over 16 images, relative to the greatest logit; `None` for a
/// network that is not total.
fn error(seed: u64) -> Option<f64> {
    let mut chain = Chain::new(seed);
    let cells = chain.dims.iter().product::<i64>() as usize;
    (0..1 + seed % 8).for_each(|_| chain.step());
    let model = chain.end();
    let images = images(16, cells, seed);
    // A normalization first thing would else be taken for one of bytes.
    let options = ImportOptions {
        normalization: Some(Normalization::uniform(1.0 / 255.0, 0.0)),
        ..ImportOptions::default()
    };
    let imported = match import::onnx(&model.bytes(), &images, &options, &mut |_| ()) {
        Err(ImportError::NotTotal { .. }) => return None,
        result => result.unwrap(),
    };
    let last = imported.report.layers.last().unwrap().linear.as_ref();
    let unit = last.unwrap().scale / f64::from(1u32 << imported.report.fraction_bits);
    let (mut largest, mut error) = (0.0f64, 0.0f64);
    for image in &images {
        let x = image
            .iter()
            .map(|&pixel| f64::from(pixel) / 255.0)
            .collect();
        let expected = reference::run(&model, x);
        let float = imported.float.logits(image).unwrap();
        let integer = imported.network.run(image).unwrap().logits;
        for ((want, float), integer) in expected.iter().zip(float).zip(integer) {
            let folded = (want - f64::from(float)).abs();
            assert!(
                folded < 1e-4 * want.abs().max(1.0),
                "seed {seed}: {float}, not {want}"
            );
            largest = largest.max(want.abs());
            error = error.max((integer as f64 * unit - want).abs());
        }
    }
    Some(error / largest)
}

/// The seeds are fixed: how close a network comes is a matter of chance.
#[test]
fn the_integer_network_stays_close() {
    let mut errors: Vec<f64> = (0..600).filter_map(error).collect();
    errors.sort_by(f64::total_cmp);
    let (count, at) = (errors.len(), |part: f64| {
        errors[(part * (errors.len() - 1) as f64) as usize]
    });
    println!(
        "{count} networks: error {:.4} in the middle, {:.4} for 99 %, {:.4} at most",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert!(count > 590, "{count} of 600 networks are total");
    assert!(at(0.5) < 0.007 && at(0.99) < 0.05 && at(1.0) < 0.15);
}
