//! Max pooling and concatenations in ONNX files: against a second reading of the file, and what
//! they cost in layers.

use crate::model::check::*;
use crate::model::*;
use zknode_circuit::network::import::onnx::proto::AttributeProto;
use zknode_circuit::network::import::ImportError;
use zknode_circuit::network::{Layer, Network};

fn max_pools(network: &Network) -> usize {
    let layers = network.architecture().layers.iter();
    layers.filter(|l| matches!(l, Layer::MaxPool(_))).count()
}

fn relu_pool(model: Model, from: &str, to: &str, with: &[AttributeProto]) -> Model {
    let relu = format!("{to}.r");
    model
        .node("Relu", &[from], &relu, &[])
        .node("MaxPool", &[&relu], to, with)
}

/// Two blocks of two convolutions and a max pooling, two dense layers: VGG in small.
#[test]
fn a_small_vgg() {
    let pool = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    let mut model = image(3, 12);
    model = conv(model, "image", "c1", (3, 4), &[1; 4]).node("Relu", &["c1"], "r1", &[]);
    model = conv(model, "r1", "cc2", (4, 4), &[1; 4]);
    model = relu_pool(model, "cc2", "p1", &pool);
    model = conv(model, "p1", "ccc3", (4, 6), &[1; 4]).node("Relu", &["ccc3"], "r3", &[]);
    model = conv(model, "r3", "cccc4", (6, 6), &[1; 4]);
    model = relu_pool(model, "cccc4", "p2", &pool)
        .node("Flatten", &["p2"], "f", &[])
        .constant("w", &[54, 8], &numbers(432, 5))
        .node("Gemm", &["f", "w"], "d1", &[])
        .node("Relu", &["d1"], "r5", &[])
        .constant("w2", &[8, 3], &numbers(24, 6))
        .node("Gemm", &["r5", "w2"], "logits", &[])
        .output("logits");
    let imported = check(&model, 3 * 144, 0.05);
    assert_eq!(
        (linears(&imported.network), max_pools(&imported.network)),
        (6, 2)
    );
    assert!(imported.report.range_bits >= 9);
}

#[test]
fn borders_of_max_pooling() {
    let cases: [(&[AttributeProto], usize); 8] = [
        (&[ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])], 9),
        (&[ints("pads", &[2, 0, 0, 1])], 5 * 4),
        (&[ints("strides", &[3, 1])], 3),
        (
            &[string("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])],
            9,
        ),
        (
            &[string("auto_pad", "SAME_LOWER"), ints("strides", &[1, 2])],
            15,
        ),
        (&[string("auto_pad", "VALID")], 9),
        (&[int("ceil_mode", 1), ints("strides", &[3, 3])], 4),
        (
            &[
                int("ceil_mode", 1),
                ints("strides", &[2, 2]),
                ints("pads", &[1, 0, 1, 0]),
            ],
            6,
        ),
    ];
    for (with, cells) in cases {
        let with = [with, &[ints("kernel_shape", &[3, 3])]].concat();
        // Values of both signs: a border of zeros would win over some.
        let model =
            conv(image(1, 5), "image", "c1", (1, 2), &[1; 4]).node("MaxPool", &["c1"], "p", &with);
        let imported = check(&ended(model, "p", 2 * cells), 25, 0.05);
        assert_eq!(
            (linears(&imported.network), max_pools(&imported.network)),
            (2, 1)
        );
    }
}

#[test]
fn max_pooling_of_the_image_of_sums_and_of_itself() {
    let pool = [ints("kernel_shape", &[2, 2])];
    let model = image(2, 6)
        .node("MaxPool", &["image"], "p", &pool)
        .node("AveragePool", &["p"], "a", &pool)
        .node("MaxPool", &["a"], "q", &pool)
        .node("MaxPool", &["q"], "s", &pool)
        .node("GlobalMaxPool", &["s"], "g", &[]);
    let imported = check(&ended(model, "g", 2), 72, 0.05);
    // The sums become bytes before they are compared.
    assert_eq!(
        (linears(&imported.network), max_pools(&imported.network)),
        (2, 4)
    );
}

/// Where a normalization turns the image over, its least bytes are its greatest values.
#[test]
fn max_pooling_of_a_negative() {
    let model = image(2, 6)
        .constant("k", &[2, 1, 1], &[-2.0, 1.0])
        .node("Mul", &["image", "k"], "n", &[])
        .node("MaxPool", &["n"], "p", &[ints("kernel_shape", &[2, 2])]);
    let imported = check(&ended(model, "p", 50), 72, 0.05);
    assert_eq!(linears(&imported.network), 2);
}

#[test]
fn an_activation_function_after_max_pooling_is_that_before_it() {
    let pool = [ints("kernel_shape", &[2, 2])];
    let before = conv(image(1, 6), "image", "c1", (1, 3), &[0; 4]);
    let model = before
        .clone()
        .node("MaxPool", &["c1"], "p", &pool)
        .node("Relu", &["p"], "r", &[]);
    let imported = check(&ended(model, "r", 27), 36, 0.05);
    assert_eq!(linears(&imported.network), 2);
    // Not where the convolution is read as it is elsewhere.
    let model = before
        .node("MaxPool", &["c1"], "p", &pool)
        .node("Relu", &["p"], "r", &[])
        .node("GlobalAveragePool", &["r"], "g", &[])
        .node("GlobalAveragePool", &["c1"], "h", &[])
        .node("Concat", &["g", "h"], "gh", &[int("axis", 1)]);
    let imported = check(&ended(model, "gh", 6), 36, 0.05);
    assert_eq!(linears(&imported.network), 3);
}

#[test]
fn a_border_before_max_pooling() {
    let pool = [ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])];
    let padded = |from: &str| {
        conv(image(1, 6), "image", "c1", (1, 2), &[0; 4])
            .node("Relu", &["c1"], "r", &[])
            .integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1])
            .node("Pad", &[from, "pads"], "pad", &[])
            .node("MaxPool", &["pad"], "p", &pool)
    };
    check(&ended(padded("r"), "p", 8), 36, 0.05);
    let error = ended(padded("c1"), "p", 8).refused(36);
    assert!(error.to_string().contains("may be negative"), "{error}");
}

#[test]
fn concatenations_cost_no_layer() {
    let model = conv(image(2, 5), "image", "c1", (2, 3), &[1; 4]).node("Relu", &["c1"], "r1", &[]);
    let model = conv(model, "image", "cc2", (2, 4), &[1; 4]).node(
        "Concat",
        &["r1", "cc2", "image"],
        "j",
        &[int("axis", -3)],
    );
    let model = conv(model, "j", "ccc3", (9, 4), &[1; 4])
        .node("Relu", &["ccc3"], "r3", &[])
        .node("Concat", &["j", "r3"], "k", &[int("axis", 1)])
        .node("AveragePool", &["k"], "a", &[ints("kernel_shape", &[2, 2])])
        .node("MaxPool", &["a"], "m", &[ints("kernel_shape", &[2, 2])]);
    let imported = check(&ended(model, "m", 13 * 9), 50, 0.05);
    // Three convolutions, a requantization of each of four averages, the end.
    assert_eq!(linears(&imported.network), 3 + 4 + 1);
    let last = imported.network.architecture().layers.last().unwrap();
    let Layer::Linear(last) = last else { panic!() };
    assert_eq!(last.terms.len(), 4);
}

/// What DenseNet and Inception do: batch normalization, activation functions, depthwise and grouped
/// convolutions of joined tensors, sums of two joined alike.
#[test]
fn channels_of_a_concatenation_by_themselves() {
    let model = conv(image(1, 6), "image", "c1", (1, 2), &[1; 4]);
    let model = conv(model, "image", "cc2", (1, 4), &[1; 4])
        .node("Concat", &["c1", "cc2"], "j", &[int("axis", 1)])
        .constant("s", &[6, 1, 1], &numbers(6, 8))
        .node("Mul", &["j", "s"], "m", &[])
        .node("Relu", &["m"], "r", &[])
        .constant("dw", &[12, 1, 3, 3], &numbers(108, 9))
        .node(
            "Conv",
            &["r", "dw"],
            "d",
            &[int("group", 6), ints("pads", &[1; 4])],
        )
        .constant("gw", &[3, 4, 1, 1], &numbers(12, 10))
        .node("Conv", &["d", "gw"], "g", &[int("group", 3)])
        .node("Add", &["j", "r"], "sum", &[])
        .node("Flatten", &["sum"], "f1", &[])
        .node("Flatten", &["g"], "f2", &[])
        .node("Concat", &["f1", "f2"], "all", &[int("axis", 1)]);
    check(&ended(model, "all", 9 * 36), 36, 0.05);
}

/// Groups that read two parts, a sum with another tensor, an output: the groups are written out.
#[test]
fn concatenations_that_are_not_split() {
    let joined = || {
        let model = conv(image(1, 6), "image", "c1", (1, 3), &[1; 4]);
        conv(model, "image", "cc2", (1, 3), &[1; 4]).node(
            "Concat",
            &["c1", "cc2"],
            "j",
            &[int("axis", 1)],
        )
    };
    let grouped = joined()
        .constant("w", &[4, 3, 1, 1], &numbers(12, 3))
        .node("Conv", &["j", "w"], "fits", &[int("group", 2)])
        .constant("w3", &[3, 2, 3, 3], &numbers(54, 3))
        .node("Conv", &["j", "w3"], "crosses", &[int("group", 3)])
        .node(
            "AveragePool",
            &["fits"],
            "a",
            &[ints("kernel_shape", &[3, 3])],
        )
        .node("Concat", &["crosses", "a"], "jj", &[int("axis", 1)]);
    check(&ended(grouped, "jj", 7 * 16), 36, 0.05);
    let sum = conv(joined(), "image", "c6", (1, 6), &[1; 4]).node("Add", &["j", "c6"], "s", &[]);
    check(&ended(sum, "s", 6 * 36), 36, 0.05);
    let output = joined()
        .node("GlobalAveragePool", &["j"], "g", &[])
        .node("Flatten", &["g"], "f", &[])
        .output("f");
    check(&output, 36, 0.05);
}

#[test]
fn a_concatenation_that_would_cost_too_much_is_named() {
    let model = image(1, 6)
        .constant("w", &[700, 1, 1, 1], &numbers(700, 4))
        .node("Conv", &["image", "w"], "c", &[])
        .node("Relu", &["c"], "r", &[])
        .node("Concat", &["c", "r"], "j", &[int("axis", 1)])
        .constant("dw", &[1400, 1, 1, 1], &numbers(1400, 6))
        .node("Conv", &["image", "dw"], "d", &[])
        .node("Add", &["j", "d"], "bad", &[]);
    let error = ended(model, "bad", 1400 * 36).refused(36);
    let ImportError::Concat { layer, shapes, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (layer.as_str(), shapes.as_str()),
        ("bad", "700x6x6, 700x6x6")
    );
}

#[test]
fn many_parts_are_refused() {
    let mut model = conv(image(1, 4), "image", "c1", (1, 1), &[0; 4]);
    let mut last = "c1".to_owned();
    for step in 0..22 {
        let next = format!("j{step}");
        model = model.node("Concat", &[&last, &last], &next, &[int("axis", 1)]);
        last = next;
    }
    let model = model
        .node("GlobalAveragePool", &[&last], "g", &[])
        .output("g");
    assert!(matches!(model.refused(16), ImportError::TooLarge { .. }));
}
