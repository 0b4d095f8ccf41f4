//! The import of the bundled LeNet-5 and of the full MNIST test split.

use std::path::Path;
use zknode_circuit::layout::{Grid, Layout};
use zknode_circuit::network::import::{
    self, Calibration, ImportOptions, ImportReport, Imported, LinearReport, Progress,
};
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
    assert_eq!(found.top_k, 5);
    assert_eq!((found.float_topk, found.integer_topk), (256, 256));
    assert!(found.difference().abs() <= 0.2, "{found:?}");
    // 2^17 rows hold its tables and a batch of images.
    let architecture = imported.network.architecture();
    let layout = Layout::largest(architecture, 17, 8, Grid::WHOLE, 1).unwrap();
    println!("{} images in 2^17 rows", layout.options().samples);
}

#[test]
fn the_error_of_every_layer() {
    let samples = labelled(&fixtures::mnist_256().unwrap());
    let mut imported = lenet(&samples, &ImportOptions::default());
    let linear = |imported: &Imported| -> Vec<LinearReport> {
        let layers = imported.report.layers.iter();
        layers.filter_map(|layer| layer.linear.clone()).collect()
    };
    assert!(linear(&imported).iter().all(|layer| layer.error.is_none()));
    let images: Vec<_> = samples[..20].iter().map(|(image, _)| image).collect();
    let mut seen = vec![];
    import::measure_errors(&mut imported, &images, &mut |step| seen.push(step)).unwrap();
    assert_eq!(
        seen,
        [16, 20].map(|done| Progress::Measuring { done, total: 20 })
    );
    for layer in linear(&imported) {
        let error = layer.error.unwrap();
        assert!(error.decibels.unwrap() > 20.0, "{error:?}");
        assert!(error.mean > 0.0 && error.mean < error.greatest, "{error:?}");
    }
    // Of the logits, counted once more.
    let last = linear(&imported).pop().unwrap();
    let mut greatest = 0.0f64;
    for image in images {
        let float = imported.float.logits(image).unwrap();
        let integer = imported.network.run(image).unwrap().logits;
        for (float, integer) in float.iter().zip(integer) {
            let real = integer as f64 * last.scale / 256.0;
            greatest = greatest.max((f64::from(*float) - real).abs());
        }
    }
    let found = last.error.unwrap().greatest;
    assert!(
        (found - greatest).abs() < 1e-4 * greatest,
        "{found} {greatest}"
    );
    assert!(import::measure_errors(&mut imported, &[vec![0u8; 3]], &mut |_| ()).is_err());
    let tables = imported.report.tables;
    let bits = imported.report.range_bits;
    assert_eq!(
        (tables.clip_rows, tables.remainder_rows),
        (1 << bits, 1 << 16)
    );
    let rows = tables.clip_rows + tables.remainder_rows;
    assert!(rows < 1 << tables.least_k && tables.bytes == 96 << tables.least_k);
    let architecture = imported.network.architecture();
    assert!(Layout::largest(architecture, tables.least_k - 1, 8, Grid::WHOLE, 1).is_err());
}

#[test]
fn fewer_bits_differ_and_every_difference_is_listed() {
    let samples = labelled(&fixtures::mnist_256().unwrap());
    let options = ImportOptions {
        fraction_bits: 4,
        ..ImportOptions::default()
    };
    let Imported { network, float, .. } = lenet(&samples, &options);
    let found = import::evaluate(&float, &network, &samples, &mut |_| ()).unwrap();
    let mut counts = (0, 0);
    let mut listed = found.differing.iter();
    for (index, (image, label)) in samples.iter().enumerate() {
        let integer = import::answer(&network.run(image).unwrap().logits);
        let float = import::answer(&float.logits(image).unwrap());
        counts.0 += usize::from(float == *label);
        counts.1 += usize::from(integer == *label);
        if float != integer {
            let difference = listed.next().unwrap();
            assert_eq!((difference.index, difference.label), (index, *label));
            assert_eq!((difference.float, difference.integer), (float, integer));
        }
    }
    assert!(listed.next().is_none() && !found.differing.is_empty());
    assert_eq!(counts, (found.float_top1, found.integer_top1));
    let points = 100.0 * (counts.1 as f64 - counts.0 as f64) / 256.0;
    assert!((found.difference() - points).abs() < 1e-9);
}

#[test]
fn ties_go_to_the_lowest_class() {
    assert_eq!(import::answer(&[1, 3, 2, 3]), 1);
    assert_eq!(import::answer(&[0.0; 4]), 0);
    assert_eq!(import::answer::<i64>(&[]), 0);
}

#[test]
fn a_percentile_cuts_off_what_is_rare() {
    let samples = labelled(&fixtures::mnist_256().unwrap());
    let import = |calibration| {
        let options = ImportOptions {
            calibration,
            ..ImportOptions::default()
        };
        lenet(&samples, &options).report
    };
    let all = import(Calibration::Extremes);
    let most = import(Calibration::Percentile(99.0));
    let linear = |report: &ImportReport| -> Vec<LinearReport> {
        report
            .layers
            .iter()
            .filter_map(|l| l.linear.clone())
            .collect()
    };
    let (all, most) = (linear(&all), linear(&most));
    assert_eq!((all.len(), most.len()), (5, 5));
    for (all, most) in all.iter().zip(&most).take(4) {
        assert!(most.scale < all.scale && most.seen.1 < all.seen.1);
        // Half of the cut percent is at the upper end.
        assert!(
            all.saturated.unwrap() < 1e-3 && (0.003..0.008).contains(&most.saturated.unwrap()),
            "{most:?}"
        );
    }
}

#[test]
fn the_same_images_give_the_same_network() {
    let samples = labelled(&fixtures::mnist_256().unwrap());
    let options = ImportOptions::default();
    let [a, b] = [(); 2].map(|()| lenet(&samples, &options));
    assert_eq!(a.report, b.report);
    assert!(a.network.weights() == b.network.weights());
}

#[test]
fn progress_ends_at_its_total() {
    let samples = labelled(&fixtures::mnist_256().unwrap());
    let images: Vec<_> = samples[..100].iter().map(|(image, _)| image).collect();
    let options = ImportOptions {
        calibration: Calibration::Percentile(99.9),
        ..ImportOptions::default()
    };
    let mut seen = vec![];
    let model = fixtures::lenet5_onnx().unwrap();
    import::onnx(model, &images, &options, &mut |step| seen.push(step)).unwrap();
    let calibrating = [64, 100, 164, 200].map(|done| Progress::Calibrating { done, total: 200 });
    let checking = [64, 100].map(|done| Progress::Checking { done, total: 100 });
    assert_eq!(seen, [&calibrating[..], &checking].concat());
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
    for (fraction_bits, calibrated) in
        [(8, Calibration::Extremes), (8, percentile), (6, percentile)]
    {
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
