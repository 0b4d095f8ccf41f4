//! Max pooling in the integer network: its steps, what it refuses, and its place in a model file.

use proptest::prelude::*;
use zknode_circuit::network::{
    model_file::{read, write},
    Architecture, ArchitectureError, Layer, Linear, LinearWeights, MaxPool, Network, Output,
    Padding, Shape, SumPool, TensorId, Term, Weights,
};

const BITS: u32 = 4;

fn pool(input: usize, kernel: (usize, usize), stride: (usize, usize), sides: [usize; 4]) -> Layer {
    Layer::MaxPool(MaxPool {
        name: "pool".into(),
        input: TensorId(input),
        kernel,
        stride,
        padding: Padding {
            top: sides[0],
            left: sides[1],
            bottom: sides[2],
            right: sides[3],
            value: 0,
        },
    })
}

/// The layers, flattened and ended by a dense layer of two classes with weights of 1 and -1.
fn ended(input: Shape, mut layers: Vec<Layer>, range_bits: u32) -> Architecture {
    let last = layers.len();
    layers.push(Layer::Flatten {
        input: TensorId(last),
    });
    layers.push(dense(last + 1, 2, Output::Logits));
    Architecture {
        input,
        fraction_bits: BITS,
        range_bits,
        layers,
    }
}

fn dense(input: usize, outputs: usize, output: Output) -> Layer {
    Layer::Linear(Linear {
        name: "dense".into(),
        terms: vec![Term {
            input: TensorId(input),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        }],
        shape: Shape::new(outputs, 1, 1),
        output,
    })
}

/// Logits are the sum of the last tensor's cells, and its negative.
fn network(architecture: Architecture) -> Network {
    let shapes = architecture.shapes().unwrap();
    let cells = shapes[shapes.len() - 2].cells();
    let weights = LinearWeights {
        terms: vec![(0..cells).flat_map(|_| [1, -1]).collect()],
        bias: vec![0; 2],
    };
    let layers = vec![weights];
    Network::new(architecture, Weights { layers }).unwrap()
}

/// The definition, one window after the other.
fn by_hand(image: &[u8], from: Shape, to: Shape, pool: &MaxPool, cell: usize) -> (Vec<i64>, i64) {
    let (c, y, x) = (
        cell / to.positions(),
        cell / to.width % to.height,
        cell % to.width,
    );
    let mut window = vec![];
    for ky in 0..pool.kernel.0 {
        for kx in 0..pool.kernel.1 {
            let iy = (y * pool.stride.0 + ky) as i64 - pool.padding.top as i64;
            let ix = (x * pool.stride.1 + kx) as i64 - pool.padding.left as i64;
            let inside =
                (0..from.height as i64).contains(&iy) && (0..from.width as i64).contains(&ix);
            let place = (c as i64 * from.height as i64 + iy) * from.width as i64 + ix;
            window.push(if inside {
                i64::from(image[place as usize])
            } else {
                0
            });
        }
    }
    let mut greatest = window[0];
    let mut steps = vec![];
    for value in &window[1..] {
        steps.push(value - greatest);
        greatest += (value - greatest).max(0);
    }
    assert_eq!(Some(greatest), window.iter().copied().max());
    (steps, greatest)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_climbs_to_the_greatest_byte(
        shape in (1..3usize, 1..7usize, 1..7usize),
        kernel in (1..4usize, 1..4usize),
        stride in (1..5usize, 1..5usize),
        sides in proptest::array::uniform4(0..3usize),
        seed in any::<u64>(),
    ) {
        use rand::{rngs::StdRng, Rng, SeedableRng};
        let from = Shape::new(shape.0, shape.1, shape.2);
        let sides = [0, 1, 2, 3].map(|i| sides[i].min([kernel.0, kernel.1][i % 2] - 1));
        let layer = pool(0, kernel, stride, sides);
        let architecture = ended(from, vec![layer.clone()], 10);
        let fits = shape.1 + sides[0] + sides[2] >= kernel.0 && shape.2 + sides[1] + sides[3] >= kernel.1;
        prop_assert_eq!(architecture.shapes().is_ok(), fits && kernel != (1, 1));
        if architecture.shapes().is_err() {
            return Ok(());
        }
        let network = network(architecture);
        let mut rng = StdRng::seed_from_u64(seed);
        let image: Vec<u8> = (0..from.cells()).map(|_| rng.gen()).collect();
        let trace = network.run(&image).unwrap();
        let Layer::MaxPool(layer) = layer else { unreachable!() };
        let to = network.architecture().shapes().unwrap()[1];
        let found: Vec<_> = (0..to.cells()).map(|cell| by_hand(&image, from, to, &layer, cell)).collect();
        let steps = (0..layer.steps()).flat_map(|step| found.iter().map(move |f| f.0[step] << BITS));
        prop_assert_eq!(&trace.accumulators[0], &steps.collect::<Vec<_>>());
        let sum: i64 = found.iter().map(|f| f.1).sum();
        prop_assert_eq!(&trace.logits, &vec![sum, -sum]);
        prop_assert_eq!(trace.accumulators.len(), 2);
    }
}

#[test]
fn poolings_of_poolings_and_of_activations() {
    let conv = Layer::Linear(Linear {
        name: "conv".into(),
        terms: vec![Term {
            input: TensorId::INPUT,
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        }],
        shape: Shape::new(1, 4, 4),
        output: Output::Activation,
    });
    let layers = vec![
        conv,
        pool(1, (2, 2), (1, 1), [0; 4]),
        pool(2, (3, 3), (1, 1), [0; 4]),
    ];
    let architecture = ended(Shape::new(1, 4, 4), layers, 9);
    let weights = Weights {
        layers: vec![
            LinearWeights {
                terms: vec![vec![16]],
                bias: vec![8],
            },
            LinearWeights {
                terms: vec![vec![1, -1]],
                bias: vec![0; 2],
            },
        ],
    };
    let network = Network::new(architecture, weights).unwrap();
    let image: Vec<u8> = (0..16).map(|i| i * 13 % 16).collect();
    let trace = network.run(&image).unwrap();
    assert_eq!(trace.logits, [15, -15]);
    let cells: Vec<usize> = trace.accumulators.iter().map(Vec::len).collect();
    assert_eq!(cells, [16, 3 * 9, 8, 2]);
    // A linear layer before it and after it, but not the pooling, has bounds.
    assert_eq!(network.bounds(), [(8, 255 * 16 + 8), (-255, 255)]);
}

#[test]
fn what_it_does_not_read() {
    let image = Shape::new(2, 4, 4);
    let refused = |layers: Vec<Layer>| ended(image, layers, 10).shapes().unwrap_err();
    let reason = |error: ArchitectureError| match error {
        ArchitectureError::BadLayer { reason, .. } => reason,
        other => unreachable!("{other}"),
    };
    let sums = Layer::SumPool(SumPool {
        name: "sums".into(),
        input: TensorId::INPUT,
        kernel: (2, 2),
        stride: (1, 1),
    });
    let flat = Layer::Flatten {
        input: TensorId::INPUT,
    };
    for before in [sums, flat] {
        let error = refused(vec![before, pool(1, (2, 1), (1, 1), [0; 4])]);
        assert!(reason(error).contains("needs bytes"));
    }
    let error = refused(vec![pool(0, (1, 1), (1, 1), [0; 4])]);
    assert!(reason(error).contains("two cells"));
    let error = refused(vec![pool(0, (2, 2), (1, 1), [2, 0, 0, 0])]);
    assert!(reason(error).contains("smaller than the kernel"));
    let error = refused(vec![pool(0, (5, 2), (1, 1), [0; 4])]);
    assert!(reason(error).contains("larger than the padded input"));
    let error = refused(vec![pool(0, (2, 2), (0, 1), [0; 4])]);
    assert!(reason(error).contains("at least 1"));
    let mut bright = pool(0, (2, 2), (1, 1), [1, 0, 0, 0]);
    if let Layer::MaxPool(pool) = &mut bright {
        pool.padding.value = 1;
    }
    assert!(reason(refused(vec![bright])).contains("least byte"));
    let error = refused(vec![pool(7, (2, 2), (1, 1), [0; 4])]);
    assert!(matches!(
        error,
        ArchitectureError::UnknownTensor { tensor: 7, .. }
    ));
    let giant = refused(vec![pool(0, (usize::MAX, 2), (1, 1), [0; 4])]);
    assert!(matches!(giant, ArchitectureError::BadLayer { .. }));
}

#[test]
fn differences_of_bytes_need_nine_bits() {
    let layers = vec![pool(0, (2, 2), (2, 2), [0; 4])];
    let architecture = |bits| ended(Shape::new(1, 4, 4), layers.clone(), bits);
    let error = architecture(8).shapes().unwrap_err();
    assert!(
        matches!(
            error,
            ArchitectureError::BadFormat {
                min: 9,
                found: 8,
                ..
            }
        ),
        "{error}"
    );
    let network = network(architecture(9));
    let extremes: Vec<u8> = (0..16).map(|i| [0, 255, 255, 0, 255][i % 5]).collect();
    let steps = &network.run(&extremes).unwrap().accumulators[0];
    let (low, high) = architecture(9).allowed(Output::Activation);
    assert!(steps
        .iter()
        .all(|&z| i128::from(z) >= low && i128::from(z) <= high));
    assert_eq!(steps.iter().max(), Some(&(255 << BITS)));
    assert_eq!(steps.iter().min(), Some(&(-255 << BITS)));
}

#[test]
fn a_model_file_with_one_has_the_second_version() {
    let layers = vec![pool(0, (2, 2), (2, 2), [1, 0, 0, 1])];
    let network = network(ended(Shape::new(1, 3, 3), layers, 9));
    let file = write(&network).unwrap();
    assert_eq!(file[8..12], [2, 0, 0, 0]);
    let again = read(&file).unwrap();
    assert_eq!(again.architecture(), network.architecture());
    assert!(again.weights() == network.weights());
}
