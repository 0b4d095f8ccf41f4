//! Published TensorFlow Lite models and images, which are not in the repository: they are looked for
//! in `../shared/data` beside it, or where `ZKNODE_SHARED_DATA` says. The accuracies are those of the
//! integer network on the images named; TensorFlow Lite's own logits stand in `golden_*.csv`.

use rayon::prelude::*;
use std::path::{Path, PathBuf};
use zknode_circuit::network::import::{self, answer, ImportOptions, Imported, Normalization};
use zknode_circuit::network::Network;

/// Where the data is; says so where it is not.
fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("ZKNODE_SHARED_DATA").map_or(beside, PathBuf::from);
    if folder.join("SHA256SUMS").exists() {
        return Some(folder);
    }
    println!("skipped: {} holds no models", folder.display());
    None
}

type Samples = Vec<(Vec<u8>, usize)>;

fn samples(file: &Path) -> Samples {
    let set = zknode_datasets::open(file, &Default::default()).unwrap();
    let samples = set.into_samples().into_iter();
    samples
        .map(|s| (s.image.pixels().to_vec(), usize::from(s.label.0)))
        .collect()
}

fn quantized(file: &Path) -> Imported {
    let file = std::fs::read(file).unwrap();
    let no_images: [&[u8]; 0] = [];
    import::tflite(&file, &no_images, &ImportOptions::default(), &mut |_| ()).unwrap()
}

/// How many samples have their label among the `k` greatest logits.
fn correct(network: &Network, samples: &[&(Vec<u8>, usize)], shift: usize, k: usize) -> usize {
    let found = samples.par_iter().filter(|(pixels, label)| {
        let logits = network.run(pixels).unwrap().logits;
        let (label, own) = (label + shift, logits[label + shift]);
        let before = logits.iter().enumerate();
        before
            .filter(|(j, v)| **v > own || **v == own && *j < label)
            .count()
            < k
    });
    found.count()
}

/// What the integer network and the float model do where TensorFlow Lite's logits are known.
#[derive(Debug, Default)]
struct Agreement {
    samples: usize,
    /// The network is right.
    correct: usize,
    /// The network's answer is TensorFlow Lite's.
    integer: usize,
    /// The float model's answer is, which rounds as the file does.
    float: usize,
    /// Mean distance of the float model's logits from TensorFlow Lite's, in steps of the latter.
    float_steps: f64,
    /// The same of the network's.
    integer_steps: f64,
}

/// `golden` are the samples, with the labels the network has, and their logits as signed bytes of a
/// scale and zero point.
fn agreement(
    imported: &Imported,
    golden: &[(&[u8], usize, Vec<f64>)],
    scale: f64,
    zero_point: f64,
) -> Agreement {
    let last = imported.report.layers.last().unwrap();
    let step = last.linear.as_ref().unwrap().scale / 256.0;
    let one = |(pixels, label, bytes): &(&[u8], usize, Vec<f64>)| {
        let integer = imported.network.run(pixels).unwrap().logits;
        let float = imported.float.logits(pixels).unwrap();
        let distance = |value: f64, byte: f64| (value / scale + zero_point - byte).abs();
        let classes = bytes.len() as f64;
        let near = |values: Vec<f64>| {
            let distances = values.iter().zip(bytes).map(|(v, b)| distance(*v, *b));
            distances.sum::<f64>() / classes
        };
        Agreement {
            samples: 1,
            correct: usize::from(answer(&integer) == *label),
            integer: usize::from(answer(&integer) == answer(bytes)),
            float: usize::from(answer(&float) == answer(bytes)),
            float_steps: near(float.iter().map(|&v| f64::from(v)).collect()),
            integer_steps: near(integer.iter().map(|&v| v as f64 * step).collect()),
        }
    };
    let add = |a: Agreement, b: Agreement| Agreement {
        samples: a.samples + b.samples,
        correct: a.correct + b.correct,
        integer: a.integer + b.integer,
        float: a.float + b.float,
        float_steps: a.float_steps + b.float_steps,
        integer_steps: a.integer_steps + b.integer_steps,
    };
    let mut sum = golden.par_iter().map(one).reduce(Agreement::default, add);
    sum.float_steps /= sum.samples as f64;
    sum.integer_steps /= sum.samples as f64;
    println!("{sum:?}");
    sum
}

fn numbers(fields: &mut dyn Iterator<Item = &str>) -> Vec<f64> {
    fields.map(|field| field.trim().parse().unwrap()).collect()
}

/// MLPerf Tiny's list of 200 CIFAR-10 test images, and every tenth of all 10,000.
#[test]
fn resnet8_quantized() {
    let Some(data) = data() else { return };
    let imported = quantized(&data.join("mlperf_resnet8_int8.tflite"));
    let all = samples(&data.join("cifar10_test.bin"));
    let names = std::fs::read_to_string(data.join("cifar10_test_names.csv")).unwrap();
    let names: Vec<&str> = names.lines().filter_map(|l| l.split(',').next()).collect();
    let golden = std::fs::read_to_string(data.join("golden_resnet8_int8_ic01.csv")).unwrap();
    let golden: Vec<_> = golden
        .lines()
        .skip(1)
        .map(|line| {
            let mut fields = line.split(',');
            let name = fields.next().unwrap();
            let (pixels, label) = &all[names.iter().position(|n| *n == name).unwrap()];
            (&pixels[..], *label, numbers(&mut fields.skip(2)))
        })
        .collect();
    let found = agreement(&imported, &golden, 0.171_853_9, 24.0);
    assert_eq!(found.samples, 200);
    // TensorFlow Lite itself is right 175 times.
    assert!(found.correct >= 173 && found.integer >= 188, "{found:?}");
    // Sums of single precision fall on the other side of a half now and then, and that spreads.
    assert!(found.float >= 195 && found.float_steps < 2.0, "{found:?}");
    let tenth: Vec<_> = all.iter().step_by(10).collect();
    let right = correct(&imported.network, &tenth, 0, 1);
    println!("{right} of {} (every tenth)", tenth.len());
    assert!(right >= 865);
}

/// All 10,000 images of CIFAR-10's test set; the source answers 8,697 correctly.
#[test]
#[ignore = "one to five minutes"]
fn resnet8_quantized_on_all_images() {
    let Some(data) = data() else { return };
    let imported = quantized(&data.join("mlperf_resnet8_int8.tflite"));
    let all = samples(&data.join("cifar10_test.bin"));
    let right = correct(&imported.network, &all.iter().collect::<Vec<_>>(), 0, 1);
    println!("{right} of {}", all.len());
    assert!(right >= 8690);
}

/// The float file takes pixels as they are. Its 64 calibration images are not among those tested, but
/// of the test set too: there is no other part of CIFAR-10 here.
#[test]
fn resnet8_float() {
    let Some(data) = data() else { return };
    let file = std::fs::read(data.join("mlperf_resnet8_float.tflite")).unwrap();
    let all = samples(&data.join("cifar10_test.bin"));
    let images: Vec<_> = all.iter().skip(1).step_by(150).take(64).collect();
    let images: Vec<&Vec<u8>> = images.iter().map(|(pixels, _)| pixels).collect();
    let options = ImportOptions {
        normalization: Some(Normalization::uniform(1.0, 0.0)),
        ..ImportOptions::default()
    };
    let imported = import::tflite(&file, &images, &options, &mut |_| ()).unwrap();
    assert!(!imported.report.quantized_source);
    let tests: Samples = all.iter().step_by(10).cloned().collect();
    let found = import::evaluate(&imported.float, &imported.network, &tests, &mut |_| ()).unwrap();
    println!(
        "float {}, integer {} of 1000",
        found.float_top1, found.integer_top1
    );
    assert!(found.float_top1 >= 865 && found.integer_top1 >= 860);
}

/// Photos of the NIPS 2017 development set, labelled as ImageNet's 1,000 classes; the model's first
/// class is the background, so that its labels are one higher.
fn photos(data: &Path) -> Samples {
    samples(&data.join("imagenet_like_224.csv"))
}

#[test]
fn mobilenet_quantized() {
    let Some(data) = data() else { return };
    let imported = quantized(&data.join("mobilenet_v2_1.0_224_int8.tflite"));
    assert_eq!(imported.float.classes(), 1001);
    let photos = photos(&data);
    let golden = data.join("golden_mobilenet_v2_1.0_224_int8_first16.csv");
    let golden = std::fs::read_to_string(golden).unwrap();
    let lines = golden.lines().skip(1).zip(&photos);
    let golden: Vec<_> = lines
        .map(|(line, (pixels, label))| {
            let logits = line.split(',').nth(3).unwrap();
            (&pixels[..], label + 1, numbers(&mut logits.split(' ')))
        })
        .collect();
    let found = agreement(&imported, &golden, 0.063_365, -53.0);
    assert_eq!(found.samples, 16);
    assert!(found.float == 16 && found.float_steps < 2.0, "{found:?}");
    assert!(found.integer >= 14 && found.correct >= 12, "{found:?}");
}

#[test]
#[ignore = "one to five minutes"]
fn mobilenet_quantized_on_all_photos() {
    let Some(data) = data() else { return };
    let imported = quantized(&data.join("mobilenet_v2_1.0_224_int8.tflite"));
    let photos = photos(&data);
    let photos: Vec<_> = photos.iter().collect();
    let [top1, top5] = [1, 5].map(|k| correct(&imported.network, &photos, 1, k));
    println!("top-1 {top1}, top-5 {top5} of {}", photos.len());
    assert!(top1 >= 205 && top5 >= 240);
}
