//! The import of the bundled LeNet-5 and of the full MNIST test split.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use zknode_circuit::layout::Layout;
use zknode_circuit::network::import::{self, Calibration, ImportOptions, Imported};
use zknode_datasets::{fixtures, idx, Dataset};

type Labelled = Vec<(Vec<u8>, usize)>;

fn labelled(dataset: &Dataset) -> Labelled {
    let samples = dataset.samples().iter();
    samples
        .map(|s| (s.image.pixels().to_vec(), s.label.0.into()))
        .collect()
}

fn lenet(samples: &Labelled, options: &ImportOptions) -> Imported {
    let images: Vec<_> = samples.iter().map(|(image, _)| image).collect();
    let model = fixtures::lenet5_onnx().unwrap();
    import::onnx(model, &images, options, &mut |_| ()).unwrap()
}

#[test]
fn lenet_keeps_its_accuracy_on_the_bundled_images() {
    let samples = labelled(&fixtures::mnist_256().unwrap());
    let imported = lenet(&samples, &ImportOptions::default());
    for layer in &imported.report.layers {
        println!("{layer:?}");
    }
    println!("range bits {}", imported.report.range_bits);
    let found =
        import::evaluate(&imported.float, &imported.network, &samples, &mut |_| ()).unwrap();
    println!("{found:?}");
    // The manifest's figure, counted by another implementation.
    assert_eq!(found.float_top1, 255);
    assert!(found.difference().abs() <= 0.2, "{found:?}");
    // 2^17 rows hold its tables and a batch of images.
    let architecture = imported.network.architecture();
    let layout = Layout::largest(architecture, 17, 8, 1).unwrap();
    println!("{} images in 2^17 rows", layout.options().samples);
}

/// The full test split, where datasets/fetch.sh has put it; calibrated on training images.
#[test]
fn lenet_keeps_its_accuracy_on_all_test_images() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/datasets/mnist");
    let read = |split: &str| {
        let images = folder.join(format!("{split}-images-idx3-ubyte"));
        let labels = folder.join(format!("{split}-labels-idx1-ubyte"));
        let bytes = (std::fs::read(&images).ok()?, std::fs::read(&labels).ok()?);
        let parsed = idx::parse((&images, &bytes.0), (&labels, &bytes.1), Some(10));
        Some(labelled(&parsed.unwrap()))
    };
    let (Some(train), Some(test)) = (read("train"), read("t10k")) else {
        println!("skipped: no MNIST in {folder:?}; datasets/fetch.sh puts it there");
        return;
    };
    let calibration: Labelled = train.into_iter().step_by(60).collect();
    let percentile = Calibration::Percentile(99.9);
    for (fraction_bits, calibrated) in [
        (8, Calibration::Extremes),
        (8, percentile),
        (7, percentile),
        (6, Calibration::Extremes),
        (6, percentile),
        (5, percentile),
        (4, percentile),
    ] {
        let options = ImportOptions {
            fraction_bits,
            calibration: calibrated,
            ..ImportOptions::default()
        };
        let Imported {
            network,
            float,
            report,
        } = lenet(&calibration, &options);
        let found = import::evaluate(&float, &network, &test, &mut |_| ()).unwrap();
        println!(
            "{fraction_bits} fraction bits, {calibrated:?}, {} range bits: float {}, integer {} of {}, {} answers differ",
            report.range_bits,
            found.float_top1,
            found.integer_top1,
            found.samples,
            found.differing.len(),
        );
        assert_eq!(found.float_top1, 9944);
        assert!(fraction_bits < 8 || found.difference().abs() <= 0.2);
    }
}
