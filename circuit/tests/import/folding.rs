//! What is folded into what, and what it may not be folded into.

use crate::model::check::*;
use crate::model::*;
use zknode_circuit::network::import::{self, ImportOptions, Normalization};

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
    assert!((first.scale * 255.0 - 6.0).abs() < 1e-6 && first.saturated == Some(0.0));
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
