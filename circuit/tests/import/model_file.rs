//! The model file: what is written is read, and no stranger's bytes do harm.

use proptest::prelude::*;
use sha3::{Digest, Keccak256};
use zknode_circuit::network::{
    model_file::{read, write, ModelFileError},
    Architecture, ArchitectureError, Layer, Linear, LinearWeights, MaxPool, Network, NetworkError,
    Output, Padding, Shape, SumPool, TensorId, Term, Weights,
};

fn linear(
    name: &str,
    inputs: &[usize],
    kernel: (usize, usize),
    shape: Shape,
    output: Output,
) -> Layer {
    let term = |input: &usize| Term {
        input: TensorId(*input),
        kernel,
        stride: (1, 1),
        padding: Padding::default(),
        groups: 1,
    };
    Layer::Linear(Linear {
        name: name.into(),
        terms: inputs.iter().map(term).collect(),
        shape,
        output,
    })
}

/// A convolution, a pooling and a dense layer of two terms.
fn network() -> Network {
    let architecture = Architecture {
        input: Shape::new(1, 5, 5),
        fraction_bits: 4,
        range_bits: 12,
        layers: vec![
            linear(
                "conv",
                &[0],
                (2, 2),
                Shape::new(2, 4, 4),
                Output::Activation,
            ),
            Layer::SumPool(SumPool {
                name: "pool".into(),
                input: TensorId(1),
                kernel: (4, 4),
                stride: (4, 4),
            }),
            linear(
                "dense",
                &[2, 2],
                (1, 1),
                Shape::new(3, 1, 1),
                Output::Logits,
            ),
        ],
    };
    let layers = vec![
        LinearWeights {
            terms: vec![vec![1, -2, 3, -4, 5, -6, 7, -8]],
            bias: vec![8, 9],
        },
        LinearWeights {
            terms: vec![vec![1, 2, 3, 4, 5, -6], vec![0; 6]],
            bias: vec![-1, 0, i64::from(u32::MAX) >> 8],
        },
    ];
    Network::new(architecture, Weights { layers }).unwrap()
}

/// The same contents under a digest that fits them.
fn sealed(mut contents: Vec<u8>) -> Vec<u8> {
    contents.truncate(contents.len() - 32);
    let digest = Keccak256::digest(&contents);
    contents.extend(digest);
    contents
}

#[test]
fn what_is_written_is_read() {
    let network = network();
    let again = read(&write(&network).unwrap()).unwrap();
    assert_eq!(again.architecture(), network.architecture());
    assert!(again.weights() == network.weights());
}

#[test]
fn another_version_is_named() {
    let mut file = write(&network()).unwrap();
    file[8] = 3;
    let error = read(&sealed(file)).unwrap_err();
    assert!(
        matches!(error, ModelFileError::Version { found: 3 }),
        "{error}"
    );
}

#[test]
fn other_files_are_refused() {
    for file in [&b""[..], b"zknodem", b"zknodevk\x01\0\0\0", b"\x08\x07onnx"] {
        assert!(matches!(read(file), Err(ModelFileError::Magic)));
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let file = write(&network()).unwrap();
    for length in 0..file.len() {
        assert!(read(&file[..length]).is_err(), "{length}");
    }
    let longer = sealed([&file[..], &[0]].concat());
    assert!(matches!(read(&longer), Err(ModelFileError::Length { .. })));
}

#[test]
fn every_changed_byte_is_refused() {
    let file = write(&network()).unwrap();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn a_network_that_is_not_total_is_refused_even_under_its_own_digest() {
    let mut file = write(&network()).unwrap();
    let (end, word) = (file.len() - 32, 8);
    // The last word is a bias of the logits.
    file[end - word..end].copy_from_slice(&(1i64 << 35).to_le_bytes());
    let error = read(&sealed(file)).unwrap_err();
    assert!(
        matches!(
            error,
            ModelFileError::Network(NetworkError::NotTotal { .. })
        ),
        "{error}"
    );
}

#[test]
fn a_declared_size_allocates_nothing() {
    let json = serde_json::to_string(network().architecture()).unwrap();
    // 2^13 x 2^13 weights would take half a gigabyte.
    let huge = json.replace(r#""channels":3"#, r#""channels":8192"#);
    assert_ne!(json, huge);
    let mut file = b"zknodemd\x01\0\0\0".to_vec();
    file.extend((huge.len() as u32).to_le_bytes());
    file.extend(huge.bytes());
    file.extend([0; 32]);
    assert!(matches!(
        read(&sealed(file)),
        Err(ModelFileError::Length { .. })
    ));
}

/// Layers of one weight on an image of 2^24 pixels, or poolings; no logits.
fn large(layers: usize, pool: bool) -> Architecture {
    let layer = |tensor: usize| match pool {
        true => Layer::MaxPool(MaxPool {
            name: "pool".into(),
            input: TensorId(tensor),
            kernel: (2, 2),
            stride: (1, 1),
            padding: Padding::default(),
        }),
        false => {
            let shape = Shape::new(1, 4096, 4096);
            linear("one", &[tensor], (1, 1), shape, Output::Activation)
        }
    };
    Architecture {
        input: Shape::new(1, 4096, 4096),
        fraction_bits: 4,
        range_bits: 12,
        layers: (0..layers).map(layer).collect(),
    }
}

#[test]
fn the_tensors_of_a_run_are_bounded_together() {
    let refused = |found| {
        Err(ArchitectureError::TooLarge {
            what: "the number of cells of all tensors",
            found,
            max: 1 << 28,
        })
    };
    let one = |layers| large(layers, false).shapes();
    assert_eq!(one(15), Err(ArchitectureError::BadLogits));
    assert_eq!(one(16), refused(17 << 24));
    // The steps of a max pooling are kept too: three for every window of four.
    let pool = |layers| large(layers, true).shapes();
    assert_eq!(pool(3), Err(ArchitectureError::BadLogits));
    let pooled: usize = (1..=4usize).map(|less| 4 * (4096 - less).pow(2)).sum();
    assert_eq!(pool(4), refused((1 << 24) + pooled));
}

#[test]
fn the_weights_of_all_layers_are_bounded_together() {
    let dense = |tensor: usize| {
        let shape = Shape::new(1 << 12, 1, 1);
        linear("dense", &[tensor], (1, 1), shape, Output::Activation)
    };
    let architecture = |layers| Architecture {
        input: Shape::new(1 << 12, 1, 1),
        fraction_bits: 4,
        range_bits: 12,
        layers: (0..layers).map(dense).collect(),
    };
    assert_eq!(architecture(3).shapes(), Err(ArchitectureError::BadLogits));
    assert_eq!(
        architecture(4).shapes(),
        Err(ArchitectureError::TooLarge {
            what: "the number of weights and biases",
            found: (4 << 24) + (4 << 12),
            max: 1 << 26,
        })
    );
}

/// What is public has no names of layers.
#[test]
fn names_stay_in_the_owners_file() {
    let network = network();
    let mut named = network.architecture().clone();
    named.layers.extend(large(1, true).layers);
    for layer in &mut named.layers {
        let name = match layer {
            Layer::Linear(linear) => &mut linear.name,
            Layer::SumPool(pool) => &mut pool.name,
            Layer::MaxPool(pool) => &mut pool.name,
            Layer::Flatten { .. } => continue,
        };
        *name = "customer-churn".into();
    }
    let text = |architecture: &Architecture| serde_json::to_string(architecture).unwrap();
    assert!(text(&named).contains("churn"));
    assert!(!text(&named.without_names()).contains("churn"));
    let again = read(&write(&network).unwrap()).unwrap();
    assert!(text(again.architecture()).contains("conv"));
}

proptest! {
    #[test]
    fn random_bytes_are_refused(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"zknodemd\x01\0\0\0".to_vec();
        file.extend(tail);
        prop_assert!(read(&file).is_err());
    }
}
