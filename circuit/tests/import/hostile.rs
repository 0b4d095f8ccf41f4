//! Damaged and hostile files: nothing in a file makes the import panic.

use crate::model::check::*;
use crate::model::*;
use proptest::prelude::*;
use zknode_circuit::network::import::onnx::proto::*;
use zknode_circuit::network::import::{self, ImportError, ImportOptions};

#[test]
fn tensors_are_checked() {
    let weight = |change: &dyn Fn(&mut TensorProto)| {
        let mut model = small();
        change(&mut model.graph().initializer[0]);
        model
    };
    let raw = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let as_raw = weight(&|t| {
        t.raw_data = Some(raw(&std::mem::take(&mut t.float_data)));
    });
    let images = images(2, 32, 1);
    let [a, b] = [small(), as_raw].map(|m| m.import(&images).unwrap().network);
    assert!(a.weights() == b.weights());

    let external = weight(&|t| t.data_location = 1);
    assert!(matches!(external.refused(32), ImportError::ExternalData { tensor } if tensor == "w"));
    let located = weight(&|t| t.external_data = vec![StringStringEntryProto::default()]);
    assert!(matches!(
        located.refused(32),
        ImportError::ExternalData { .. }
    ));
    for wrong in [
        weight(&|t| t.float_data.truncate(53)),
        weight(&|t| t.dims[0] = 4),
        weight(&|t| t.dims[0] = -3),
        weight(&|t| t.raw_data = Some(vec![0; 53 * 4 + 1])),
        weight(&|t| t.raw_data = Some(vec![])),
    ] {
        assert!(matches!(wrong.refused(32), ImportError::TensorData { .. }));
    }
    let huge = weight(&|t| t.dims = vec![i64::MAX; 4]);
    assert!(matches!(huge.refused(32), ImportError::TooLarge { .. }));
    let deep = weight(&|t| t.dims = vec![1; 1 << 20]);
    let error = deep.refused(32);
    assert!(
        matches!(error, ImportError::TooLarge { found, max: 8, .. } if found == 1 << 20),
        "{error}"
    );
    let half = weight(&|t| t.data_type = 10);
    assert!(matches!(
        half.refused(32),
        ImportError::ElementType { found: 10, .. }
    ));
    for value in [f32::NAN, f32::INFINITY] {
        let wrong = weight(&|t| t.float_data[5] = value);
        assert!(matches!(wrong.refused(32), ImportError::NotFinite { .. }));
    }
    let scaled = small().constant("k", &[], &[3e38]);
    let scaled = scaled.node("Mul", &["logits", "k"], "a", &[]);
    let mut overflow = scaled.node("Mul", &["a", "k"], "end", &[]);
    overflow.graph().output[0].name = "end".into();
    let error = overflow.refused(32);
    assert!(matches!(error, ImportError::NotFinite { .. }), "{error}");
}

#[test]
fn activations_that_overflow() {
    let mut model = small();
    // The bias is finite, and so is twice it in the next layer's weights, but not their product.
    model.graph().initializer[1].float_data = vec![3e38; 3];
    let weights = &mut model.graph().initializer.last_mut().unwrap().float_data;
    weights.iter_mut().for_each(|weight| *weight = 2.0);
    let error = model.refused(32);
    let ImportError::NotFinite { place } = error else {
        panic!("{error}");
    };
    assert!(place.contains("calibration"), "{place}");
}

#[test]
fn a_model_whose_weights_are_all_zero() {
    let mut model = small();
    for tensor in &mut model.graph().initializer {
        tensor.float_data.iter_mut().for_each(|v| *v = 0.0);
    }
    let images = images(2, 32, 1);
    let imported = model.import(&images).unwrap();
    assert_eq!(imported.network.run(&images[0]).unwrap().logits, [0; 3]);
}

#[test]
fn a_cut_file_is_refused_at_every_length() {
    let file = small().bytes();
    let image = vec![[9u8; 32]];
    for length in 0..file.len() {
        let result = import::onnx(
            &file[..length],
            &image,
            &ImportOptions::default(),
            &mut |_| (),
        );
        assert!(result.is_err(), "{length} of {} bytes", file.len());
    }
}

/// The error of lowering a model.
fn unreadable(model: Model) -> ImportError {
    match model.float() {
        Ok(_) => panic!("the model was read"),
        Err(error) => error,
    }
}

/// A sum has no constants: some bytes of a file, and three weights for every channel.
#[test]
fn a_small_file_of_many_large_sums_is_refused() {
    let mut model = Model::new(&[1 << 24]);
    let mut last = "image".to_owned();
    for index in 0..64 {
        let sum = format!("t{index}");
        model = model.node("Add", &[&last, &last], &sum, &[]);
        last = sum;
    }
    let model = model.output(&last);
    assert!(model.bytes().len() < 2048);
    let error = unreadable(model);
    let expected = "the number of weights and biases";
    assert!(
        matches!(error, ImportError::TooLarge { what, found, .. } if what == expected && found == 6 << 24),
        "{error}"
    );
}

/// Nor has a clamp that becomes a layer of its own.
#[test]
fn a_small_file_of_many_large_clamps_is_refused() {
    let mut model = Model::new(&[1 << 24]);
    for clamped in ["a", "b", "c"] {
        model = model.node("Relu", &["image"], clamped, &[]);
    }
    let sums = model
        .node("Add", &["a", "b"], "ab", &[])
        .node("Add", &["ab", "c"], "abc", &[]);
    let error = unreadable(sums.output("abc"));
    assert!(
        matches!(error, ImportError::TooLarge { found, .. } if found == 6 << 24),
        "{error}"
    );
}

/// A constant is copied for every node that reads it.
#[test]
fn a_constant_under_many_names_is_refused() {
    let mut model = Model::new(&[4]).constant("c0", &[1 << 17], &vec![1.0; 1 << 17]);
    for index in 0..2000 {
        let (from, to) = (format!("c{index}"), format!("c{}", index + 1));
        model = model.node("Identity", &[&from], &to, &[]);
    }
    let error = unreadable(model.output("c2000"));
    let most = 1 << 27;
    assert!(
        matches!(error, ImportError::TooLarge { found, max, .. } if max == most && found == most + (1 << 17)),
        "{error}"
    );
}

#[test]
fn a_long_name_is_cut() {
    let model = Model::new(&[4]).node("Abs", &["image"], &"long".repeat(1 << 10), &[]);
    let error = unreadable(model.output(&"long".repeat(1 << 10)));
    let ImportError::Operator { node, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(node, "long".repeat(64));
}

/// A model in which many integers mean something.
fn intricate() -> Model {
    let model = Model::new(&[2, 6, 6])
        .integers("pads", &[0, 0, 1, 0, 0, 0, 0, 1])
        .node("Pad", &["image", "pads"], "p", &[])
        .constant("w", &[4, 1, 3, 3], &numbers(36, 1))
        .constant("b", &[4], &numbers(4, 2));
    let conv = [
        ints("kernel_shape", &[3, 3]),
        ints("strides", &[1, 1]),
        ints("dilations", &[1, 1]),
        ints("pads", &[1, 1, 1, 1]),
        int("group", 2),
    ];
    let pool = [
        ints("kernel_shape", &[2, 2]),
        ints("strides", &[1, 1]),
        ints("pads", &[0, 0, 0, 0]),
        int("ceil_mode", 1),
    ];
    let model = model
        .node("Conv", &["p", "w", "b"], "c1", &conv)
        .node("Relu", &["c1"], "r", &[])
        .node("AveragePool", &["r"], "a", &pool)
        .node(
            "MaxPool",
            &["a"],
            "mp",
            &[
                ints("kernel_shape", &[2, 3]),
                ints("strides", &[2, 1]),
                ints("pads", &[1, 1, 0, 1]),
                ints("dilations", &[1, 1]),
                int("ceil_mode", 1),
            ],
        )
        .node("Concat", &["mp", "mp"], "joined", &[int("axis", 1)])
        .constant("cw", &[4, 4, 1, 1], &numbers(16, 9))
        .node("Conv", &["joined", "cw"], "c2", &[int("group", 2)])
        .node(
            "ReduceMean",
            &["c2"],
            "m",
            &[ints("axes", &[2, 3]), int("keepdims", 1)],
        )
        .node("Squeeze", &["m"], "s", &[ints("axes", &[2, -1])])
        .integers("axes", &[2, 3])
        .node("Unsqueeze", &["s", "axes"], "u", &[])
        .node("Shape", &["u"], "shape", &[])
        .integers("zero", &[0])
        .node("Gather", &["shape", "zero"], "batch", &[int("axis", 0)])
        .integers("rest", &[-1])
        .node("Concat", &["batch", "rest"], "target", &[int("axis", 0)])
        .node("Reshape", &["u", "target"], "v", &[int("allowzero", 0)])
        .integers("flat", &[0, 4])
        .node("Reshape", &["v", "flat"], "f", &[]);
    model
        .constant("fc", &[4, 3], &numbers(12, 3))
        .node("Gemm", &["f", "fc"], "logits", &[int("transB", 0)])
        .node("Softmax", &["logits"], "end", &[int("axis", -1)])
        .output("end")
}

/// Every integer of the file, to be changed.
fn integers(model: &mut Model) -> Vec<&mut i64> {
    let graph = model.graph();
    let kind = graph.input[0]
        .r#type
        .as_mut()
        .unwrap()
        .tensor_type
        .as_mut()
        .unwrap();
    let sides = kind.shape.as_mut().unwrap().dim.iter_mut();
    let mut all: Vec<_> = sides.filter_map(|side| side.dim_value.as_mut()).collect();
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        all.push(&mut attribute.i);
        all.extend(&mut attribute.ints);
    }
    for tensor in &mut graph.initializer {
        all.extend(&mut tensor.dims);
        all.extend(&mut tensor.int64_data);
    }
    all
}

#[test]
fn extreme_integers_do_not_panic() {
    let image = [vec![9u8; 72]];
    intricate().import(&image).unwrap();
    let count = integers(&mut intricate()).len();
    assert!(count > 60);
    for index in 0..count {
        for extreme in [
            i64::MIN,
            i64::MIN + 1,
            -5,
            -1,
            0,
            1,
            3,
            1 << 16,
            1 << 33,
            i64::MAX,
        ] {
            let mut model = intricate();
            *integers(&mut model)[index] = extreme;
            // Some of them are as good as before.
            let _ = model.import(&image);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(file in proptest::collection::vec(any::<u8>(), 0..400)) {
        let result = import::onnx(&file, &[[9u8; 32]], &ImportOptions::default(), &mut |_| ());
        prop_assert!(result.is_err());
    }

    #[test]
    fn changed_files_do_not_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = small().bytes();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        // A changed weight is still a model, whatever it is worth.
        let _ = import::onnx(&file, &[[9u8; 32]], &ImportOptions::default(), &mut |_| ());
    }
}
