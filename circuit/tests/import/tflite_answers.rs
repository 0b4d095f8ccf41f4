//! TensorFlow Lite models made in memory: the import reads them as a plain reading of the operators
//! does, and the integer network stays close.

use crate::tflite::reference::Cells;
use crate::tflite::*;
use zknode_circuit::network::{Layer, Network, TensorId};

/// A tensor as the file has it and as it should come out.
struct Step {
    tensor: i32,
    cells: Cells,
}

/// A quantized or float model in the making, and what it should answer to one image.
struct Chain {
    model: Model,
    quantized: bool,
    seed: u32,
}

const RELU: i8 = 1;
const RELU6: i8 = 3;

impl Chain {
    fn new(size: [usize; 3], quantized: bool) -> (Self, Step, Vec<u8>) {
        let mut model = Model::default();
        let shape = [1, size[0] as i32, size[1] as i32, size[2] as i32];
        let tensor = match quantized {
            true => model.bytes(&shape, 1.0 / 64.0, -28),
            false => model.floats(&shape),
        };
        model.inputs = vec![tensor];
        let pixels = integers(size.iter().product(), 77);
        let pixels: Vec<u8> = pixels.iter().map(|&p| p as u8).collect();
        let cells = match quantized {
            true => Cells::image(size, &pixels, 1.0 / 64.0, 100.0),
            false => Cells::image(size, &pixels, 1.0 / 255.0, 0.0),
        };
        let chain = Self {
            model,
            quantized,
            seed: 0,
        };
        (chain, Step { tensor, cells }, pixels)
    }

    /// Weights and bias: in the file, and as numbers.
    fn parameters(
        &mut self,
        shape: &[i32],
        outputs: usize,
        axis: i32,
    ) -> ([i32; 2], Vec<f64>, Vec<f64>) {
        self.seed += 2;
        let count = shape.iter().product::<i32>() as usize;
        let (weights, bias) = (integers(count, self.seed), integers(outputs, self.seed + 1));
        let bias: Vec<i32> = bias.iter().map(|&b| i32::from(b) * 20).collect();
        // Scales that differ from channel to channel.
        let fan = (count / outputs) as f32;
        let scale: Vec<f32> = (0..outputs)
            .map(|o| (1.0 + o as f32 / outputs as f32) / (64.0 * fan.sqrt()))
            .collect();
        let run: i32 = shape[axis as usize + 1..].iter().product();
        let channel = |index: usize| index / run as usize % outputs;
        let each = weights.iter().enumerate();
        let real: Vec<f32> = each
            .map(|(i, &w)| f32::from(w) * scale[channel(i)])
            .collect();
        let bias_scale: Vec<f32> = scale.iter().map(|s| s / 50.0).collect();
        let bias_real: Vec<f32> = bias
            .iter()
            .zip(&bias_scale)
            .map(|(&b, s)| b as f32 * s)
            .collect();
        let side = [outputs as i32];
        let tensors = match self.quantized {
            true => [
                self.model.weights(shape, &weights, &scale, axis),
                self.model.integers(&side, &bias, &bias_scale),
            ],
            false => [
                self.model.constant(shape, &real),
                self.model.constant(&side, &bias_real),
            ],
        };
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        (tensors, wide(real), wide(bias_real))
    }

    /// An operator that makes `cells`, rounded if the model is quantized: its scale fits the values.
    fn made(
        &mut self,
        code: i32,
        inputs: &[i32],
        cells: Cells,
        (kind, options): (i8, &[(usize, Part)]),
    ) -> Step {
        let least = cells.values.iter().copied().fold(0.0, f64::min);
        let most = cells.values.iter().copied().fold(0.0, f64::max);
        let scale = ((most - least) / 255.0).max(1e-6) as f32;
        let zero_point = -128 + (-least / f64::from(scale)).round() as i64;
        let sides = cells.size.map(|side| side as i32);
        let shape = [1, sides[0], sides[1], sides[2]];
        let flat = [1, sides[2]];
        let shape = if code == 9 { &flat[..] } else { &shape };
        let (tensor, cells) = match self.quantized {
            true => (
                self.model.bytes(shape, scale, zero_point),
                cells.rounded(scale, zero_point),
            ),
            false => (self.model.floats(shape), cells),
        };
        self.model.operator(code, inputs, tensor, kind, options);
        Step { tensor, cells }
    }

    fn conv(
        &mut self,
        from: &Step,
        (outputs, inputs): (usize, usize),
        (kernel, stride, same): (usize, usize, bool),
        activation: i8,
    ) -> Step {
        let (k, s) = (kernel as i32, stride as i32);
        let shape = [outputs as i32, k, k, inputs as i32];
        let ([w, b], weights, bias) = self.parameters(&shape, outputs, 0);
        let padded = match same {
            true => from.cells.same(kernel, stride),
            false => from.cells.clone(),
        };
        let cells = padded.conv(&weights, &bias, kernel, stride);
        let options = [
            (0, Part::Byte(i8::from(!same))),
            (1, Part::Word(s)),
            (2, Part::Word(s)),
            (3, Part::Byte(activation)),
        ];
        let inputs = [from.tensor, w, b];
        self.made(3, &inputs, activated(cells, activation), (1, &options))
    }

    fn depthwise(&mut self, from: &Step, multiplier: usize, activation: i8) -> Step {
        let outputs = from.cells.size[2] * multiplier;
        let shape = [1, 3, 3, outputs as i32];
        let ([w, b], weights, bias) = self.parameters(&shape, outputs, 3);
        let cells = from.cells.same(3, 2).depthwise(&weights, &bias, 3, 2);
        let options = [
            (1, Part::Word(2)),
            (2, Part::Word(2)),
            (3, Part::Word(multiplier as i32)),
            (4, Part::Byte(activation)),
        ];
        let inputs = [from.tensor, w, b];
        self.made(4, &inputs, activated(cells, activation), (2, &options))
    }

    fn add(&mut self, left: &Step, right: &Step, activation: i8) -> Step {
        let cells = activated(left.cells.plus(&right.cells), activation);
        let inputs = [left.tensor, right.tensor];
        self.made(0, &inputs, cells, (11, &[(0, Part::Byte(activation))]))
    }

    fn dense(&mut self, from: &Step, outputs: usize) -> Step {
        let inputs = from.cells.values.len() as i32;
        let ([w, b], weights, bias) = self.parameters(&[outputs as i32, inputs], outputs, 0);
        let cells = from.cells.dense(&weights, &bias);
        self.made(9, &[from.tensor, w, b], cells, (8, &[]))
    }

    /// Compares the model with what it should answer.
    fn check(mut self, last: &Step, pixels: &[u8]) -> Network {
        self.model.outputs = vec![last.tensor];
        let imported = self.model.import(&[pixels.to_vec()]).unwrap();
        let logits = imported.float.logits(pixels).unwrap();
        assert_eq!(logits.len(), last.cells.values.len());
        let reach = last
            .cells
            .values
            .iter()
            .fold(0.0, |m: f64, v| m.max(v.abs()));
        // A step of the logits, where rounding fell on the other side of a half.
        let near = if self.quantized { 0.01 } else { 1e-5 };
        for (found, expected) in logits.iter().zip(&last.cells.values) {
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= near * reach, "{found} {expected}");
        }
        let scale = imported.report.layers.last().unwrap();
        let scale = scale.linear.as_ref().unwrap().scale / 256.0;
        let run = imported.network.run(pixels).unwrap();
        for (found, expected) in run.logits.iter().zip(&last.cells.values) {
            let error = (*found as f64 * scale - expected).abs();
            assert!(
                error <= 0.05 * reach,
                "{} {expected}",
                *found as f64 * scale
            );
        }
        imported.network
    }
}

fn activated(cells: Cells, activation: i8) -> Cells {
    match activation {
        RELU => cells.map(|v| v.max(0.0)),
        RELU6 => cells.map(|v| v.clamp(0.0, 6.0)),
        _ => cells,
    }
}

#[test]
fn convolutions_of_every_form() {
    for quantized in [false, true] {
        // Even and odd sides, where SAME at stride 2 is not symmetric and where it is.
        for size in [[6, 7, 4], [7, 6, 4]] {
            let (mut chain, image, pixels) = Chain::new(size, quantized);
            let a = chain.conv(&image, (6, 4), (3, 2, true), RELU);
            let b = chain.conv(&a, (8, 3), (2, 1, false), RELU6);
            let c = chain.depthwise(&b, 2, 0);
            let d = chain.conv(&c, (5, 16), (1, 1, true), RELU);
            let e = chain.dense(&d, 3);
            chain.check(&e, &pixels);
        }
    }
}

#[test]
fn a_residual_block_and_a_flattened_tensor() {
    for quantized in [false, true] {
        let (mut chain, image, pixels) = Chain::new([4, 6, 3], quantized);
        let a = chain.conv(&image, (4, 3), (3, 1, true), RELU);
        let b = chain.conv(&a, (4, 4), (3, 1, true), 0);
        let c = chain.add(&a, &b, RELU);
        let beside = chain.conv(&c, (4, 4), (1, 1, false), 0);
        let d = chain.add(&c, &beside, 0);
        let options = [
            (0, Part::Byte(1)),
            (1, Part::Word(2)),
            (2, Part::Word(2)),
            (3, Part::Word(2)),
            (4, Part::Word(2)),
        ];
        let pooled = chain.made(1, &[d.tensor], d.cells.mean(2, 2), (5, &options));
        let e = chain.dense(&pooled, 3);
        chain.check(&e, &pixels);
    }
}

#[test]
fn a_border_a_mean_and_a_softmax() {
    for quantized in [false, true] {
        let (mut chain, image, pixels) = Chain::new([5, 5, 2], quantized);
        let a = chain.conv(&image, (3, 2), (1, 1, false), RELU);
        let sides = [0, 0, 1, 0, 0, 1, 0, 0];
        let paddings = chain.model.integers(&[4, 2], &sides, &[]);
        let cells = a.cells.padded([1, 0, 0, 1]);
        // A border does not change the scale.
        let of = chain.model.tensors[a.tensor as usize].clone();
        let padded = match quantized {
            true => chain
                .model
                .bytes(&[1, 6, 6, 3], of.scale[0], of.zero_point[0]),
            false => chain.model.floats(&[1, 6, 6, 3]),
        };
        chain
            .model
            .operator(34, &[a.tensor, paddings], padded, 0, &[]);
        let padded = Step {
            tensor: padded,
            cells,
        };
        let b = chain.conv(&padded, (4, 3), (3, 2, false), RELU);
        let axes = chain.model.integers(&[2], &[1, 2], &[]);
        let keep = [(0, Part::Byte(1))];
        let mean = chain.made(40, &[b.tensor, axes], b.cells.mean(2, 1), (27, &keep));
        let logits = chain.conv(&mean, (5, 4), (1, 1, true), 0);
        let logits = Step {
            tensor: chain.reshaped(&logits, &[1, 5]),
            ..logits
        };
        let softmax = match quantized {
            true => chain.model.bytes(&[1, 5], 1.0 / 256.0, -128),
            false => chain.model.floats(&[1, 5]),
        };
        let beta = [(0, Part::Float(1.0))];
        chain
            .model
            .operator(25, &[logits.tensor], softmax, 9, &beta);
        let end = Step {
            tensor: softmax,
            ..logits
        };
        let network = chain.check(&end, &pixels);
        let layers = &network.architecture().layers;
        assert_eq!(
            layers.len(),
            4,
            "three linear layers and a pool: {layers:?}"
        );
    }
}

#[test]
fn max_pooling_and_a_concatenation() {
    for quantized in [false, true] {
        for size in [[7, 6, 2], [6, 7, 2]] {
            let (mut chain, image, pixels) = Chain::new(size, quantized);
            // Of both signs, so that a border of zeros would win.
            let a = chain.conv(&image, (3, 2), (3, 1, true), 0);
            let same = [
                (1, Part::Word(2)),
                (2, Part::Word(2)),
                (3, Part::Word(3)),
                (4, Part::Word(3)),
            ];
            let pooled = chain.alike(17, &[&a], a.cells.greatest(3, 2), (5, &same));
            let b = chain.conv(&pooled, (4, 3), (1, 1, false), RELU);
            // One scale for all, as TensorFlow Lite wants it of signed bytes; ours keeps each its own.
            let cells = pooled.cells.beside(&b.cells);
            let joined = chain.alike(2, &[&pooled, &b], cells, (10, &[(0, Part::Word(3))]));
            let c = chain.dense(&joined, 3);
            let network = chain.check(&c, &pixels);
            let linear = |layer: &&Layer| matches!(layer, Layer::Linear(_));
            let layers = &network.architecture().layers;
            assert_eq!(layers.iter().filter(linear).count(), 3, "{layers:?}");
        }
    }
}

#[test]
fn an_activation_function_of_max_pooling_and_of_a_concatenation() {
    let (mut chain, image, pixels) = Chain::new([4, 4, 2], false);
    let a = chain.conv(&image, (3, 2), (1, 1, false), 0);
    let options = [
        (1, Part::Word(2)),
        (2, Part::Word(2)),
        (3, Part::Word(2)),
        (4, Part::Word(2)),
        (5, Part::Byte(RELU)),
    ];
    let cells = activated(a.cells.greatest(2, 2), RELU);
    let pooled = chain.made(17, &[a.tensor], cells, (5, &options));
    let b = chain.conv(&pooled, (2, 3), (1, 1, false), 0);
    let cells = activated(pooled.cells.beside(&b.cells), RELU6);
    let options = [(0, Part::Word(-1)), (1, Part::Byte(RELU6))];
    let joined = chain.made(2, &[pooled.tensor, b.tensor], cells, (10, &options));
    let c = chain.dense(&joined, 3);
    chain.check(&c, &pixels);
}

impl Chain {
    /// An operator whose output has the scale of its first input; the cells are not rounded again.
    fn alike(
        &mut self,
        code: i32,
        from: &[&Step],
        cells: Cells,
        (kind, options): (i8, &[(usize, Part)]),
    ) -> Step {
        let of = self.model.tensors[from[0].tensor as usize].clone();
        let sides = cells.size.map(|side| side as i32);
        let shape = [1, sides[0], sides[1], sides[2]];
        let tensor = match self.quantized {
            true => self.model.bytes(&shape, of.scale[0], of.zero_point[0]),
            false => self.model.floats(&shape),
        };
        let inputs: Vec<i32> = from.iter().map(|step| step.tensor).collect();
        self.model.operator(code, &inputs, tensor, kind, options);
        Step { tensor, cells }
    }

    fn reshaped(&mut self, from: &Step, shape: &[i32]) -> i32 {
        let of = self.model.tensors[from.tensor as usize].clone();
        let to = match self.quantized {
            true => self.model.bytes(shape, of.scale[0], of.zero_point[0]),
            false => self.model.floats(shape),
        };
        let target = self.model.integers(&[shape.len() as i32], shape, &[]);
        self.model.operator(22, &[from.tensor, target], to, 0, &[])
    }
}

#[test]
fn bytes_at_both_ends() {
    let (mut chain, image, pixels) = Chain::new([3, 3, 1], true);
    // The file takes unsigned bytes, or floats, and rounds them to the bytes of the image.
    let mut unsigned = chain.model.tensors[image.tensor as usize].clone();
    unsigned.element = UINT8;
    unsigned.zero_point = vec![100];
    let mut float = unsigned.clone();
    float.element = FLOAT32;
    let a = chain.conv(&image, (4, 1), (3, 1, false), 0);
    let logits = Step {
        tensor: chain.reshaped(&a, &[1, 4]),
        ..a
    };
    for input in [unsigned, float] {
        let mut chain = Chain {
            model: chain.model.clone(),
            ..chain
        };
        chain.model.tensors.push(input);
        let first = chain.model.tensors.len() as i32 - 1;
        chain.model.inputs = vec![first];
        chain.model.operator(114, &[first], image.tensor, 0, &[]);
        chain.model.operators.rotate_right(1);
        let end = chain.model.floats(&[1, 4]);
        chain.model.operator(6, &[logits.tensor], end, 0, &[]);
        let end = Step {
            tensor: end,
            cells: logits.cells.clone(),
        };
        let network = chain.check(&end, &pixels);
        let Layer::Linear(linear) = &network.architecture().layers[0] else {
            panic!("the first layer is the convolution");
        };
        assert_eq!(linear.terms[0].input, TensorId::INPUT);
    }
}

#[test]
fn a_tighter_activation_than_its_bytes() {
    // RELU with a zero point in the middle: the lower half of the file's bytes is never used.
    let (mut chain, image, pixels) = Chain::new([3, 3, 2], true);
    let a = chain.conv(&image, (4, 2), (1, 1, false), RELU);
    let tensor = &mut chain.model.tensors[a.tensor as usize];
    let (scale, most) = (
        tensor.scale[0],
        a.cells.values.iter().copied().fold(0.0, f64::max),
    );
    tensor.zero_point = vec![0];
    // 127 steps above zero: the rest saturates.
    let cells = a.cells.map(|v| v.min(127.0 * f64::from(scale)));
    assert!(most > 200.0 * f64::from(scale));
    let a = Step { cells, ..a };
    let b = chain.dense(&a, 3);
    chain.check(&b, &pixels);
}
