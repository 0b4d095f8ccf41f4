//! Every operator that is imported: the folded model against a second reading of the file, the
//! integer network against the folded model.
#![allow(clippy::unwrap_used, missing_docs)]

mod model;

use model::*;
use zknode_circuit::network::import::{self, ImportOptions, Imported, Normalization};
use zknode_circuit::network::{Layer, Network};

/// Imports the model and compares it with the reference on random images: to 1e-4 before
/// quantization, to `close` of the greatest logit after.
fn check(model: &Model, cells: usize, close: f64) -> Imported {
    let images = images(24, cells, 5);
    let imported = model.import(&images).unwrap();
    let normalization = Normalization::uniform(1.0 / 255.0, 0.0);
    compare(model, &imported, &images, &normalization, close);
    imported
}

fn compare(
    model: &Model,
    imported: &Imported,
    images: &[Vec<u8>],
    input: &Normalization,
    close: f64,
) {
    let scale = imported
        .report
        .layers
        .last()
        .unwrap()
        .linear
        .as_ref()
        .unwrap()
        .scale;
    let one = f64::from(1u32 << imported.report.fraction_bits);
    let positions = imported.float.input().positions();
    let answer = |image: &Vec<u8>| {
        let x = image.iter().enumerate().map(|(i, &pixel)| {
            let (scale, offset) = input.channel(i / positions);
            f64::from(pixel) * scale + offset
        });
        reference::run(model, x.collect())
    };
    let answers: Vec<_> = images.iter().map(answer).collect();
    let largest = answers.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
    for (image, expected) in images.iter().zip(&answers) {
        let folded = imported.float.logits(image).unwrap();
        let integer = imported.network.run(image).unwrap().logits;
        let found = integer.iter().map(|&logit| logit as f64 * scale / one);
        assert_eq!(
            (folded.len(), found.len()),
            (expected.len(), expected.len())
        );
        for ((want, float), found) in expected.iter().zip(folded).zip(found) {
            let error = (f64::from(float) - want).abs();
            assert!(error < 1e-4 * largest.max(1.0), "{float}, not {want}");
            let error = (found - want).abs();
            assert!(error < close * largest, "{found}, not {want} of {largest}");
        }
    }
}

fn linears(network: &Network) -> usize {
    let layers = network.architecture().layers.iter();
    layers
        .filter(|layer| matches!(layer, Layer::Linear(_)))
        .count()
}

/// `model` up to `from`, an image of `cells` cells, ended by a dense layer of three classes.
fn ended(model: Model, from: &str, cells: usize) -> Model {
    model
        .node("Flatten", &[from], "flat", &[])
        .constant("last.w", &[cells as i64, 3], &numbers(3 * cells, 99))
        .constant("last.b", &[3], &[0.1, -0.2, 0.3])
        .node("Gemm", &["flat", "last.w", "last.b"], "logits", &[])
        .output("logits")
}

fn image(channels: i64, side: i64) -> Model {
    Model::new(&[channels, side, side])
}

/// A 3x3 convolution of `inputs` channels to `outputs`.
fn conv(model: Model, from: &str, to: &str, (inputs, outputs): (i64, i64), pads: &[i64]) -> Model {
    let (w, b) = (format!("{to}.w"), format!("{to}.b"));
    let seed = to.len() as u64 + 7 * outputs as u64;
    let count = (inputs * outputs * 9) as usize;
    model
        .constant(&w, &[outputs, inputs, 3, 3], &numbers(count, seed))
        .constant(&b, &[outputs], &numbers(outputs as usize, seed + 1))
        .node("Conv", &[from, &w, &b], to, &[ints("pads", pads)])
}

#[test]
fn asymmetric_padding_and_strides() {
    let model = image(2, 6)
        .constant("w", &[3, 2, 3, 2], &numbers(36, 1))
        .node(
            "Conv",
            &["image", "w"],
            "c",
            &[ints("pads", &[2, 0, 1, 1]), ints("strides", &[2, 1])],
        );
    check(&ended(model, "c", 3 * 4 * 6), 72, 0.05);
}

#[test]
fn automatic_padding() {
    for (mode, cells) in [
        ("SAME_UPPER", 2 * 3 * 3),
        ("SAME_LOWER", 2 * 3 * 3),
        ("VALID", 2 * 2 * 2),
    ] {
        let model = image(1, 5)
            .constant("w", &[2, 1, 2, 2], &numbers(8, 1))
            .node(
                "Conv",
                &["image", "w"],
                "c",
                &[string("auto_pad", mode), ints("strides", &[2, 2])],
            );
        check(&ended(model, "c", cells), 25, 0.05);
    }
}

#[test]
fn depthwise_and_grouped_convolutions() {
    for (groups, per_group) in [(4, 1), (2, 2)] {
        let model = conv(image(1, 5), "image", "c1", (1, 4), &[1, 1, 1, 1])
            .node("Relu", &["c1"], "r1", &[])
            .constant(
                "w",
                &[8, per_group, 3, 3],
                &numbers(72 * per_group as usize, 3),
            )
            .node(
                "Conv",
                &["r1", "w"],
                "dw",
                &[int("group", groups), ints("kernel_shape", &[3, 3])],
            )
            .node("Relu", &["dw"], "r2", &[]);
        check(&ended(model, "r2", 8 * 9), 25, 0.05);
    }
}

fn batch_norm(model: Model, from: &str, to: &str, channels: usize) -> Model {
    let names = ["g", "b", "m", "v"].map(|part| format!("{to}.{part}"));
    let mut model = model;
    for (index, name) in names.iter().enumerate() {
        let mut values = numbers(channels, 40 + index as u64);
        if index == 3 {
            values.iter_mut().for_each(|v| *v = v.abs() + 0.2);
        }
        model = model.constant(name, &[channels as i64], &values);
    }
    let inputs = [from, &names[0], &names[1], &names[2], &names[3]];
    model.node("BatchNormalization", &inputs, to, &[float("epsilon", 1e-3)])
}

#[test]
fn batch_normalization_is_folded() {
    let model = conv(image(2, 5), "image", "c1", (2, 4), &[1, 1, 1, 1]);
    let model = batch_norm(model, "c1", "bn", 4).node("Relu", &["bn"], "r", &[]);
    let imported = check(&ended(model, "r", 100), 50, 0.05);
    assert_eq!(linears(&imported.network), 2);
}

#[test]
fn batch_normalization_without_a_layer_before_it_is_a_layer() {
    // After a Relu, and where the convolution is read twice.
    let model = conv(image(1, 5), "image", "c1", (1, 3), &[1, 1, 1, 1]);
    let model = batch_norm(model.node("Relu", &["c1"], "r", &[]), "r", "bn1", 3);
    let model = batch_norm(model, "c1", "bn2", 3).node("Add", &["bn1", "bn2"], "sum", &[]);
    let imported = check(&ended(model, "sum", 75), 25, 0.05);
    // The convolution, its Relu (read elsewhere without it), both normalizations in one sum, the end.
    assert_eq!(linears(&imported.network), 4);
}

#[test]
fn residual_sums_of_negative_tensors() {
    let model = conv(image(1, 6), "image", "c1", (1, 3), &[1, 1, 1, 1]);
    let model =
        conv(model, "c1", "c2", (3, 3), &[1, 1, 1, 1]).node("Add", &["c1", "c2"], "sum", &[]);
    // The border of this one stands for zero in a tensor with negative values.
    let model = conv(model, "sum", "c3", (3, 2), &[1, 1, 1, 1]).node("Relu", &["c3"], "r", &[]);
    let imported = check(&ended(model, "r", 72), 36, 0.05);
    // c2 is folded into the sum; c1 and the sum have zero points.
    assert_eq!(linears(&imported.network), 4);
    let layers = &imported.report.layers;
    assert!(layers[..2]
        .iter()
        .all(|l| l.linear.as_ref().unwrap().zero_point > 0));
}

#[test]
fn both_operands_of_a_sum_are_folded() {
    let model = conv(image(2, 4), "image", "c1", (2, 3), &[1, 1, 1, 1]);
    let model = conv(model, "image", "cc2", (2, 3), &[1, 1, 1, 1])
        .node("Add", &["c1", "cc2"], "sum", &[])
        .node("Relu", &["sum"], "r", &[]);
    let imported = check(&ended(model, "r", 48), 32, 0.05);
    assert_eq!(linears(&imported.network), 2);
}

#[test]
fn a_tensor_added_to_itself() {
    let model = conv(image(1, 4), "image", "c1", (1, 2), &[0, 0, 0, 0])
        .node("Add", &["c1", "c1"], "sum", &[])
        .node("Relu", &["sum"], "r", &[]);
    check(&ended(model, "r", 8), 16, 0.05);
}

#[test]
fn clips() {
    let limits = |model: Model| {
        model
            .constant("low", &[], &[0.0])
            .constant("six", &[], &[6.0])
    };
    let model = conv(limits(image(2, 5)), "image", "c1", (2, 4), &[0, 0, 0, 0])
        .constant("ten", &[], &[10.0])
        .node("Mul", &["c1", "ten"], "m", &[])
        .node("Clip", &["m", "low", "six"], "r6", &[]);
    let imported = check(&ended(model, "r6", 36), 50, 0.05);
    let first = imported.report.layers[0].linear.as_ref().unwrap();
    assert!((first.scale * 255.0 - 6.0).abs() < 1e-6 && first.saturated == 0.0);
    // Symmetric, and after a Relu that leaves only its upper half.
    let model = conv(image(2, 5), "image", "c1", (2, 4), &[0, 0, 0, 0])
        .constant("low", &[], &[-0.5])
        .constant("high", &[1], &[0.5])
        .node("Clip", &["c1", "low", "high"], "c", &[]);
    check(&ended(model.clone(), "c", 36), 50, 0.05);
    check(
        &ended(model.node("Relu", &["c"], "r", &[]), "r", 36),
        50,
        0.05,
    );
}

#[test]
fn poolings_and_reshapes() {
    let pool = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    for op in ["GlobalAveragePool", "ReduceMean"] {
        let with = match op {
            "ReduceMean" => vec![ints("axes", &[-1, 2])],
            _ => vec![],
        };
        let model = conv(image(1, 8), "image", "c1", (1, 4), &[1, 1, 1, 1])
            .node("Relu", &["c1"], "r", &[])
            .node("AveragePool", &["r"], "p", &pool)
            .node(op, &["p"], "g", &with)
            .integers("axes", &[2, 3])
            .node("Squeeze", &["g", "axes"], "s", &[])
            .node("Dropout", &["s"], "d", &[])
            .constant("w", &[4, 3], &numbers(12, 3))
            .node("MatMul", &["d", "w"], "mm", &[])
            .constant("b", &[3], &[1.0, 2.0, 3.0])
            .node("Add", &["mm", "b"], "logits", &[])
            .node("Softmax", &["logits"], "probabilities", &[int("axis", -1)])
            .output("probabilities");
        check(&model, 64, 0.02);
    }
    for target in [[0, 36], [-1, 36], [1, -1], [0, -1], [1, 36]] {
        let model = conv(image(1, 5), "image", "c1", (1, 4), &[0, 0, 0, 0])
            .node("Relu", &["c1"], "r", &[])
            .integers("shape", &target)
            .node("Reshape", &["r", "shape"], "s", &[]);
        check(&ended(model, "s", 36), 25, 0.05);
    }
}

/// `x.view(x.size(0), -1)`, as PyTorch writes it.
#[test]
fn arithmetic_on_shapes() {
    let plain = conv(image(1, 5), "image", "c1", (1, 2), &[0; 4]).node("Relu", &["c1"], "r", &[]);
    let mut model = plain
        .clone()
        .node("Shape", &["r"], "shape", &[])
        .integers("rest", &[-1])
        .integers("zero", &[0])
        .integers("axis", &[0]);
    // Indices and sizes are scalars there.
    model.graph().initializer.last_mut().unwrap().dims.clear();
    let model = model
        .node("Gather", &["shape", "axis"], "size", &[])
        .node("Unsqueeze", &["size", "zero"], "batch", &[])
        .node("Concat", &["batch", "rest"], "target", &[int("axis", 0)])
        .node("Reshape", &["r", "target"], "v", &[]);
    let images = images(8, 25, 1);
    let [a, b] = [ended(plain, "r", 18), ended(model, "v", 18)].map(|m| m.import(&images).unwrap());
    assert_eq!(a.network.architecture(), b.network.architecture());
    assert!(a.network.weights() == b.network.weights());
}

#[test]
fn an_image_may_come_without_channels() {
    let model =
        Model::new(&[5, 5])
            .integers("axes", &[1])
            .node("Unsqueeze", &["image", "axes"], "x", &[]);
    let images = images(8, 25, 1);
    let by_hand = conv(image(1, 5), "image", "c1", (1, 2), &[1, 1, 1, 1]);
    let flat = conv(model, "x", "c1", (1, 2), &[1, 1, 1, 1]);
    let [a, b] = [by_hand, flat].map(|m| ended(m, "c1", 50).import(&images).unwrap().network);
    assert_eq!(a.architecture(), b.architecture());
}

#[test]
fn an_image_may_come_flat() {
    let model = Model::new(&[25]).integers("shape", &[-1, 1, 5, 5]).node(
        "Reshape",
        &["image", "shape"],
        "x",
        &[],
    );
    let by_hand = conv(image(1, 5), "image", "c1", (1, 2), &[1, 1, 1, 1]);
    let flat = conv(model, "x", "c1", (1, 2), &[1, 1, 1, 1]);
    let images = images(8, 25, 1);
    let [a, b] = [by_hand, flat].map(|m| ended(m, "c1", 50).import(&images).unwrap().network);
    assert_eq!(a.architecture(), b.architecture());
    assert!(a.weights() == b.weights());
}

#[test]
fn a_pad_belongs_to_its_convolution() {
    let model = image(1, 5)
        .integers("pads", &[0, 0, 0, 1, 0, 0, 1, 0])
        .node("Pad", &["image", "pads"], "p", &[]);
    let model = conv(model, "p", "c1", (1, 3), &[1, 0, 0, 1]).node("Relu", &["c1"], "r", &[]);
    check(&ended(model, "r", 3 * 5 * 5), 25, 0.05);
}

#[test]
fn scalars_of_a_gemm() {
    let model = Model::new(&[9])
        .constant("w", &[4, 9], &numbers(36, 8))
        .constant("c", &[1, 4], &numbers(4, 9))
        .node(
            "Gemm",
            &["image", "w", "c"],
            "g",
            &[float("alpha", 0.5), float("beta", -2.0), int("transB", 1)],
        )
        .output("g");
    check(&model, 9, 0.01);
}

#[test]
fn a_model_that_ends_with_pooled_activations() {
    let model = conv(image(1, 6), "image", "c1", (1, 4), &[0, 0, 0, 0])
        .node("Relu", &["c1"], "r", &[])
        .node("GlobalAveragePool", &["r"], "g", &[])
        .node("Flatten", &["g"], "f", &[])
        .node("Softmax", &["f"], "s", &[])
        .output("s");
    let imported = check(&model, 36, 0.02);
    assert_eq!(linears(&imported.network), 2);
}

#[test]
fn normalization_in_the_file() {
    let body = |model: Model| ended(conv(model, "x", "c1", (3, 2), &[0; 4]), "c1", 2 * 9);
    let images = images(16, 75, 2);
    // Bytes divided by 255; bytes around a mean; values in [0, 1] around a mean, by channel.
    let divided = image(3, 5)
        .constant("k", &[], &[255.0])
        .node("Div", &["image", "k"], "x", &[]);
    let centered = image(3, 5)
        .constant("m", &[1], &[127.5])
        .node("Sub", &["image", "m"], "y", &[])
        .constant("k", &[1], &[1.0 / 127.5])
        .node("Mul", &["y", "k"], "x", &[]);
    let by_channel = image(3, 5)
        .constant("m", &[1, 3, 1, 1], &[0.485, 0.456, 0.406])
        .constant("k", &[3, 1, 1], &[0.229, 0.224, 0.225])
        .node("Sub", &["image", "m"], "y", &[])
        .node("Div", &["y", "k"], "x", &[]);
    let bytes = Normalization::uniform(1.0, 0.0);
    let unit = Normalization::uniform(1.0 / 255.0, 0.0);
    for (model, input) in [(divided, &bytes), (centered, &bytes), (by_channel, &unit)] {
        let model = body(model);
        let imported = model.import(&images).unwrap();
        compare(&model, &imported, &images, input, 0.05);
        assert_eq!(linears(&imported.network), 2);
    }
}

#[test]
fn an_image_without_a_byte_for_zero_is_copied_before_it_is_padded() {
    let images = images(16, 50, 2);
    // Zero beyond white; zero in the middle of one channel and at the end of the other.
    for (offset, copied) in [([-1.1, -1.1], 1), ([-0.5, -1.0], 1), ([-0.45, -0.5], 0)] {
        let model =
            image(2, 5)
                .constant("m", &[2, 1, 1], &offset)
                .node("Add", &["image", "m"], "x", &[]);
        let model = ended(conv(model, "x", "c1", (2, 2), &[1; 4]), "c1", 50);
        let input = Normalization::uniform(1.0 / 255.0, 0.0);
        let options = ImportOptions {
            normalization: Some(input.clone()),
            ..ImportOptions::default()
        };
        let imported = import::onnx(&model.bytes(), &images, &options, &mut |_| ()).unwrap();
        compare(&model, &imported, &images, &input, 0.05);
        assert_eq!(linears(&imported.network), 2 + copied);
    }
}

#[test]
fn a_pooled_tensor_with_negative_values_is_copied_before_it_is_padded() {
    let pool = [ints("kernel_shape", &[2, 2])];
    let model = conv(image(1, 6), "image", "c1", (1, 3), &[1; 4]);
    let plain = model.clone().node("AveragePool", &["c1"], "p", &pool);
    let relu = model.node("Relu", &["c1"], "r", &[]);
    let relu = relu.node("AveragePool", &["r"], "p", &pool);
    for (model, copied) in [(plain, 1), (relu, 0)] {
        let model = ended(conv(model, "p", "cc2", (3, 2), &[1; 4]), "cc2", 50);
        let imported = check(&model, 36, 0.05);
        assert_eq!(linears(&imported.network), 3 + copied);
    }
}
