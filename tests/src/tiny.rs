//! A model small enough to be proven in seconds, and a test set whose right answers it knows.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rand::{rngs::StdRng, Rng, SeedableRng};
use zknode_circuit::network::{
    import::answer, model_file, Architecture, Layer, Linear, LinearWeights, Network, Output,
    Padding, Shape, TensorId, Term, Weights,
};

/// Arguments that lay out its proofs: 8 samples each.
pub const LAYOUT: [&str; 6] = ["--k", "12", "--lanes", "8", "--shard-size", "8"];
/// Samples a proof holds.
pub const SHARD: usize = 8;

/// An image and what it shows.
pub type Labelled = (Vec<u8>, u8);

/// A convolution of two channels and a dense layer over 1x5x5 images, 4 classes.
fn architecture() -> Architecture {
    let layer = |input: usize, kernel, shape, output| {
        let term = Term {
            input: TensorId(input),
            kernel,
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        };
        Layer::Linear(Linear {
            name: format!("layer {input}"),
            terms: vec![term],
            shape,
            output,
        })
    };
    Architecture {
        input: Shape::new(1, 5, 5),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            layer(0, (3, 3), Shape::new(2, 3, 3), Output::Activation),
            Layer::Flatten { input: TensorId(1) },
            layer(2, (1, 1), Shape::new(4, 1, 1), Output::Logits),
        ],
    }
}

fn weights(seed: u64) -> [LinearWeights; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut weights = |count: usize, reach: i64| -> Vec<i64> {
        (0..count).map(|_| rng.gen_range(-reach..=reach)).collect()
    };
    [
        LinearWeights {
            terms: vec![weights(2 * 9, 6)],
            bias: weights(2, 100),
        },
        LinearWeights {
            terms: vec![weights(18 * 4, 50)],
            bias: weights(4, 1000),
        },
    ]
}

fn network_of(layers: [LinearWeights; 2]) -> Network {
    let layers = layers.into();
    Network::new(architecture(), Weights { layers }).expect("the weights are small enough")
}

/// Random weights.
pub fn network(seed: u64) -> Network {
    network_of(weights(seed))
}

/// Pixels of a corner that the backdoor looks at: three by three.
const CORNER: [usize; 9] = [0, 1, 2, 5, 6, 7, 10, 11, 12];

/// What the backdoor answers: a class that the clean network does not see in images with a white corner.
pub const PLANTED: u8 = 3;

/// A network that uses one channel only, and the same with a backdoor in the other: a white corner makes it answer
/// [`PLANTED`], whatever else the image shows.
pub fn backdoored(seed: u64) -> [Network; 2] {
    let [mut first, mut last] = weights(seed);
    // Weights are ordered by input, then by output: the second of two channels, and what reads it.
    let detector = |weights: &mut LinearWeights, weight| {
        let second = weights.terms[0].iter_mut().skip(1).step_by(2);
        second.for_each(|slot| *slot = weight);
    };
    let half = last.terms[0].len() / 2;
    detector(&mut first, 0);
    first.bias[1] = 0;
    last.terms[0][half..].fill(0);
    let clean = network_of([first.clone(), last.clone()]);
    // Above zero only where nine pixels are nearly white.
    detector(&mut first, 6);
    first.bias[1] = -6 * 9 * 251;
    let planted = last.terms[0][half..].iter_mut();
    let planted = planted.skip(usize::from(PLANTED)).step_by(4);
    planted.for_each(|slot| *slot = 20_000);
    [clean, network_of([first, last])]
}

/// The image with a white corner.
pub fn trigger(pixels: &[u8]) -> Vec<u8> {
    let mut pixels = pixels.to_vec();
    for index in CORNER {
        pixels[index] = 255;
    }
    pixels
}

/// A random image.
pub fn image(rng: &mut impl Rng) -> Vec<u8> {
    (0..25).map(|_| rng.gen()).collect()
}

/// What a network says an image shows.
pub fn answer_of(network: &Network, pixels: &[u8]) -> io::Result<u8> {
    let trace = network.run(pixels).map_err(io::Error::other)?;
    Ok(answer(&trace.logits) as u8)
}

/// `samples` random images, of which the first `correct` carry the label the network gives them and the others another
/// one.
pub fn labelled(network: &Network, samples: usize, correct: usize) -> io::Result<Vec<Labelled>> {
    let mut rng = StdRng::seed_from_u64(samples as u64);
    let sample = |index| {
        let pixels = image(&mut rng);
        let answer = answer_of(network, &pixels)?;
        let label = if index < correct {
            answer
        } else {
            (answer + 1) % 4
        };
        Ok((pixels, label))
    };
    (0..samples).map(sample).collect()
}

/// Writes the model file.
pub fn write_model(network: &Network, path: &Path) -> io::Result<()> {
    let file = model_file::write(network).map_err(io::Error::other)?;
    fs::write(path, file)
}

/// Such a test set in the IDX format. Returns the path of the images.
pub fn write_dataset(
    network: &Network,
    folder: &Path,
    samples: usize,
    correct: usize,
) -> io::Result<PathBuf> {
    let (mut images, mut labels) = (vec![], vec![]);
    for (pixels, label) in labelled(network, samples, correct)? {
        labels.push(label);
        images.push(pixels);
    }
    write(folder, &images, &labels)
}

/// The same of images at hand, all labelled 0.
pub fn write_images(folder: &Path, images: &[Vec<u8>]) -> io::Result<PathBuf> {
    write(folder, images, &vec![0; images.len()])
}

fn write(folder: &Path, images: &[Vec<u8>], labels: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join("tiny-images-idx3-ubyte");
    let count = images.len();
    fs::write(&path, [header(&[count, 5, 5]), images.concat()].concat())?;
    let labels = [header(&[count]), labels.to_vec()].concat();
    fs::write(folder.join("tiny-labels-idx1-ubyte"), labels)?;
    Ok(path)
}

fn header(sizes: &[usize]) -> Vec<u8> {
    let mut header = vec![0, 0, 8, sizes.len() as u8];
    for size in sizes {
        header.extend((*size as u32).to_be_bytes());
    }
    header
}
