//! The operators that are imported: the folded model against a second reading of the file, the
//! integer network against the folded model.

use crate::model::check::*;
use crate::model::*;

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
