//! Models built from pieces, and what the import must make of them.

use super::*;
use zknode_circuit::network::import::Normalization;
use zknode_circuit::network::{Layer, Network};

/// Imports the model and compares it with the reference on random images: to 1e-4 before
/// quantization, to `close` of the greatest logit after.
pub fn check(model: &Model, cells: usize, close: f64) -> Imported {
    let images = images(24, cells, 5);
    let imported = model.import(&images).unwrap();
    let normalization = Normalization::uniform(1.0 / 255.0, 0.0);
    compare(model, &imported, &images, &normalization, close);
    imported
}

pub fn compare(
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

pub fn linears(network: &Network) -> usize {
    let layers = network.architecture().layers.iter();
    layers
        .filter(|layer| matches!(layer, Layer::Linear(_)))
        .count()
}

/// `model` up to `from`, an image of `cells` cells, ended by a dense layer of three classes.
pub fn ended(model: Model, from: &str, cells: usize) -> Model {
    model
        .node("Flatten", &[from], "flat", &[])
        .constant("last.w", &[cells as i64, 3], &numbers(3 * cells, 99))
        .constant("last.b", &[3], &[0.1, -0.2, 0.3])
        .node("Gemm", &["flat", "last.w", "last.b"], "logits", &[])
        .output("logits")
}

pub fn image(channels: i64, side: i64) -> Model {
    Model::new(&[channels, side, side])
}

/// A 3x3 convolution of `inputs` channels to `outputs`.
pub fn conv(
    model: Model,
    from: &str,
    to: &str,
    (inputs, outputs): (i64, i64),
    pads: &[i64],
) -> Model {
    let (w, b) = (format!("{to}.w"), format!("{to}.b"));
    let seed = to.len() as u64 + 7 * outputs as u64;
    let count = (inputs * outputs * 9) as usize;
    model
        .constant(&w, &[outputs, inputs, 3, 3], &numbers(count, seed))
        .constant(&b, &[outputs], &numbers(outputs as usize, seed + 1))
        .node("Conv", &[from, &w, &b], to, &[ints("pads", pads)])
}

/// A model of 2x4x4 images: convolution, ReLU, dense layer.
pub fn small() -> Model {
    between("Relu", &["c1"], &[])
}

/// The same with another operator in place of the ReLU; its output has the same cells.
pub fn between(op: &str, inputs: &[&str], with: &[AttributeProto]) -> Model {
    Model::new(&[2, 4, 4])
        .constant("w", &[3, 2, 3, 3], &numbers(54, 1))
        .constant("b", &[3], &numbers(3, 2))
        .node("Conv", &["image", "w", "b"], "c1", &[])
        .constant("one", &[], &[1.0])
        .constant("two", &[2], &[1.0, 2.0])
        .integers("shape", &[2, 6])
        .node(op, inputs, "x", with)
        .node("Flatten", &["x"], "f", &[])
        .constant("fc", &[12, 3], &numbers(36, 3))
        .node("Gemm", &["f", "fc"], "logits", &[])
        .output("logits")
}
