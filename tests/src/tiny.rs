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

/// A convolution and a dense layer over 1x5x5 images, 4 classes.
pub fn network(seed: u64) -> Network {
    let mut rng = StdRng::seed_from_u64(seed);
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
    let architecture = Architecture {
        input: Shape::new(1, 5, 5),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            layer(0, (3, 3), Shape::new(2, 3, 3), Output::Activation),
            Layer::Flatten { input: TensorId(1) },
            layer(2, (1, 1), Shape::new(4, 1, 1), Output::Logits),
        ],
    };
    let mut weights = |count: usize, reach: i64| -> Vec<i64> {
        (0..count).map(|_| rng.gen_range(-reach..=reach)).collect()
    };
    let layers = vec![
        LinearWeights {
            terms: vec![weights(2 * 9, 6)],
            bias: weights(2, 100),
        },
        LinearWeights {
            terms: vec![weights(18 * 4, 50)],
            bias: weights(4, 1000),
        },
    ];
    Network::new(architecture, Weights { layers }).expect("the weights are small enough")
}

/// Writes the model file.
pub fn write_model(network: &Network, path: &Path) -> io::Result<()> {
    let file = model_file::write(network).map_err(io::Error::other)?;
    fs::write(path, file)
}

/// A test set in the IDX format: `samples` random images, of which the first `correct` carry the label the network
/// gives them and the others another one. Returns the path of the images.
pub fn write_dataset(
    network: &Network,
    folder: &Path,
    samples: usize,
    correct: usize,
) -> io::Result<PathBuf> {
    let mut rng = StdRng::seed_from_u64(samples as u64);
    let (mut images, mut labels) = (vec![], vec![]);
    for index in 0..samples {
        let pixels: Vec<u8> = (0..25).map(|_| rng.gen()).collect();
        let trace = network.run(&pixels).map_err(io::Error::other)?;
        let answer = answer(&trace.logits) as u8;
        let wrong = (answer + 1) % 4;
        labels.push(if index < correct { answer } else { wrong });
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
