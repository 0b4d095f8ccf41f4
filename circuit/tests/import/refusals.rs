//! What is not imported, and why it says it is not.

use crate::model::check::*;
use crate::model::*;
use zknode_circuit::network::import::onnx::{proto::*, SUPPORTED};
use zknode_circuit::network::import::{
    self, Calibration, ImportError, ImportOptions, Normalization,
};

#[test]
fn the_small_model_is_imported() {
    small().import(&images(3, 32, 1)).unwrap();
}

#[test]
fn an_unsupported_operator_is_named() {
    let error = between("Sigmoid", &["c1"], &[]).refused(32);
    let ImportError::Operator {
        node, op, shapes, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (node.as_str(), op.as_str(), shapes.as_str()),
        ("x", "Sigmoid", "[3, 2, 2]")
    );
    let message = error.to_string();
    assert!(
        SUPPORTED.iter().all(|name| message.contains(name)),
        "{message}"
    );
    let mut foreign = small();
    foreign.graph().node[1].domain = "com.microsoft".into();
    assert!(
        matches!(foreign.refused(32), ImportError::Operator { op, .. } if op == "com.microsoft.Relu")
    );
}

#[test]
fn every_operator_of_the_list_is_known() {
    for op in SUPPORTED {
        let result = between(op, &["c1"], &[]).import(&images(1, 32, 1));
        assert!(!matches!(result, Err(ImportError::Operator { .. })), "{op}");
    }
}

/// Forms of supported operators that are refused, each with a word of the reason.
#[test]
fn unsupported_forms_say_why() {
    let pool = ints("kernel_shape", &[2, 2]);
    let cases: Vec<(Model, &str)> = vec![
        (
            between("Softmax", &["c1"], &[int("axis", 1)]),
            "over the classes",
        ),
        (
            between("Relu", &["c1"], &[int("axis", 1)]),
            "attribute axis",
        ),
        (between("Relu", &[], &[]), "input 0 is missing"),
        (between("Relu", &["one"], &[]), "depend on the image"),
        (between("Clip", &["c1", "one"], &[]), "zero must lie"),
        (between("Clip", &["c1", "two"], &[]), "one value"),
        (between("Mul", &["c1", "c1"], &[]), "must be a constant"),
        (
            between("Mul", &["c1", "two"], &[]),
            "each of the 3 channels",
        ),
        (between("Div", &["one", "c1"], &[]), "divisor"),
        (between("Add", &["c1", "image"], &[]), "same shape"),
        (between("Add", &["one", "one"], &[]), "depend on the image"),
        (between("MatMul", &["c1", "w"], &[]), "flat tensor"),
        (between("Gemm", &["c1", "w"], &[int("transA", 1)]), "transA"),
        (between("Conv", &["c1", "w"], &[]), "channels and groups"),
        (between("Conv", &["c1", "c1"], &[]), "must be a constant"),
        (between("AveragePool", &["c1"], &[]), "two sides"),
        (
            between(
                "AveragePool",
                &["c1"],
                &[pool.clone(), ints("pads", &[0, 1, 0, 0])],
            ),
            "padding",
        ),
        (
            between("AveragePool", &["c1"], &[ints("kernel_shape", &[3, 1])]),
            "larger",
        ),
        (
            between("BatchNormalization", &["c1", "b", "b", "b", "two"], &[]),
            "value per channel",
        ),
        (between("Reshape", &["c1", "shape"], &[]), "keep the batch"),
        (between("Reshape", &["c1", "one"], &[]), "list of integers"),
        (between("Squeeze", &["c1"], &[ints("axes", &[0])]), "axis 0"),
        (
            between("Squeeze", &["c1"], &[ints("axes", &[i64::MIN])]),
            "axis",
        ),
        (between("Flatten", &["c1"], &[int("axis", 2)]), "axis 1"),
        (
            between("Pad", &["c1"], &[ints("pads", &[0, 1, 0, 0, 0, 0, 0, 0])]),
            "height and width",
        ),
        (
            between("Pad", &["c1"], &[ints("pads", &[0, 0, 1, 0, 0, 0, 0, 0])]),
            "before a convolution",
        ),
        (
            between("ReduceMean", &["c1"], &[ints("axes", &[1])]),
            "height and width",
        ),
        (between("Constant", &[], &[]), "no value"),
        (
            between("Dropout", &["c1", "one", "shape"], &[]),
            "inference",
        ),
        (
            between("Gather", &["shape", "shape"], &[]),
            "beyond the list",
        ),
        (
            between("Concat", &["c1", "c1"], &[int("axis", 2)]),
            "axis 1",
        ),
        (
            between("Concat", &["c1", "image"], &[int("axis", 1)]),
            "same height and width",
        ),
        (
            between("Concat", &["shape", "shape"], &[int("axis", 1)]),
            "axis 0 of lists",
        ),
        (
            between("MaxPool", &["c1"], &[ints("kernel_shape", &[3, 1])]),
            "fit the padded input",
        ),
        (
            between(
                "MaxPool",
                &["c1"],
                &[pool.clone(), ints("pads", &[0, 2, 0, 0])],
            ),
            "larger than the border",
        ),
        (
            between(
                "MaxPool",
                &["c1"],
                &[pool.clone(), ints("dilations", &[1, 2])],
            ),
            "dilation 1",
        ),
        (
            between("Unsqueeze", &["c1"], &[ints("axes", &[0])]),
            "behind the batch",
        ),
    ];
    for (model, word) in cases {
        let error = model.refused(32);
        assert!(matches!(error, ImportError::Form { .. }), "{error}");
        assert!(
            error.to_string().contains(word),
            "{error} does not say {word}"
        );
    }
}

#[test]
fn unsupported_convolutions_say_why() {
    let cases: [(AttributeProto, &str); 8] = [
        (ints("dilations", &[2, 2]), "dilation 1"),
        (ints("kernel_shape", &[3, 2]), "kernel_shape"),
        (int("group", 0), "groups"),
        (int("group", 2), "groups"),
        (ints("strides", &[0, 1]), "positive"),
        (ints("pads", &[0, -1, 0, 0]), "pads"),
        (ints("pads", &[3, 0, 0, 0]), "kernel must fit"),
        (string("auto_pad", "SAME"), "auto_pad"),
    ];
    for (attribute, word) in cases {
        let mut model = small();
        model.graph().node[0].attribute = vec![attribute];
        let error = model.refused(32);
        assert!(
            error.to_string().contains(word),
            "{error} does not say {word}"
        );
    }
}

#[test]
fn a_softmax_in_the_middle() {
    let model = small()
        .node("Softmax", &["logits"], "s", &[])
        .constant("k", &[], &[2.0]);
    let mut model = model.node("Mul", &["s", "k"], "end", &[]);
    model.graph().output[0].name = "end".into();
    assert!(model.refused(32).to_string().contains("very end"));
}

#[test]
fn inputs_and_outputs() {
    let mut two = small();
    let mut second = two.graph().input[0].clone();
    second.name = "mask".into();
    two.graph().input.push(second);
    assert!(matches!(
        two.refused(32),
        ImportError::Ports {
            what: "input",
            found: 2,
            ..
        }
    ));
    assert!(matches!(
        small().output("c1").refused(32),
        ImportError::Ports { what: "output", .. }
    ));
    // Old files list the constants among the inputs.
    let mut listed = small();
    let mut weight = listed.graph().input[0].clone();
    weight.name = "w".into();
    listed.graph().input.push(weight);
    listed.import(&images(1, 32, 1)).unwrap();

    let sides = |change: &dyn Fn(&mut Vec<DimensionProto>)| {
        let mut model = small();
        let kind = model.graph().input[0].r#type.as_mut().unwrap();
        change(
            &mut kind
                .tensor_type
                .as_mut()
                .unwrap()
                .shape
                .as_mut()
                .unwrap()
                .dim,
        );
        model
    };
    sides(&|dim| dim[0].dim_value = Some(1))
        .import(&images(1, 32, 1))
        .unwrap();
    for refused in [
        sides(&|dim| dim[0].dim_value = Some(2)),
        sides(&|dim| dim[3] = dim[0].clone()),
        sides(&|dim| dim[2].dim_value = Some(-4)),
        sides(&|dim| dim.clear()),
        sides(&|dim| dim.push(dim[1].clone())),
        sides(&|dim| dim[2].dim_value = Some(i64::MAX)),
    ] {
        assert!(matches!(refused.refused(32), ImportError::Input { .. }));
    }
    let large = sides(&|dim| {
        dim.iter_mut()
            .skip(1)
            .for_each(|d| d.dim_value = Some(1 << 20))
    });
    assert!(matches!(large.refused(32), ImportError::TooLarge { .. }));
    let mut unknown = small();
    unknown.graph().output[0].name = "nothing".into();
    assert!(matches!(
        unknown.refused(32),
        ImportError::UnknownValue { .. }
    ));
}

#[test]
fn graphs_that_are_none() {
    let mut model = small();
    model.graph().node.swap(0, 1);
    assert!(matches!(
        model.refused(32),
        ImportError::UnknownValue { .. }
    ));
    let mut model = small();
    model.graph().node[1].output[0] = "c1".into();
    assert!(matches!(model.refused(32), ImportError::MadeTwice { .. }));
    let model = small().constant("w", &[], &[1.0]);
    assert!(matches!(model.refused(32), ImportError::MadeTwice { .. }));
    let mut model = small();
    model.0.opset_import[0].version = 6;
    assert!(matches!(
        model.refused(32),
        ImportError::OperatorSet { found: 6, .. }
    ));
    model.0.opset_import.clear();
    assert!(matches!(
        model.refused(32),
        ImportError::OperatorSet { found: 0, .. }
    ));
    model.0.graph = None;
    assert!(matches!(model.refused(32), ImportError::NoGraph));
    let read = |file: &[u8]| {
        let result = import::onnx(file, &[[0; 32]], &ImportOptions::default(), &mut |_| ());
        result.err().unwrap()
    };
    assert!(matches!(read(b""), ImportError::NoGraph));
    assert!(matches!(read(b"not a model"), ImportError::NoGraph));
    // A graph of 200 bytes, of which there are none.
    assert!(matches!(read(&[0x3a, 200, 1]), ImportError::Decode(_)));
}

#[test]
fn options_and_images_are_checked() {
    let file = small().bytes();
    let refused = |options: ImportOptions, images: &[Vec<u8>]| {
        import::onnx(&file, images, &options, &mut |_| ())
            .err()
            .unwrap()
    };
    let images = images(3, 32, 1);
    let default = ImportOptions::default;
    for options in [
        ImportOptions {
            fraction_bits: 3,
            ..default()
        },
        ImportOptions {
            fraction_bits: 9,
            ..default()
        },
        ImportOptions {
            range_bits: Some(21),
            ..default()
        },
        ImportOptions {
            calibration: Calibration::Percentile(f64::NAN),
            ..default()
        },
        ImportOptions {
            normalization: Some(Normalization::uniform(0.0, 1.0)),
            ..default()
        },
        ImportOptions {
            normalization: Some(Normalization {
                scale: vec![1.0; 3],
                offset: vec![0.0],
            }),
            ..default()
        },
    ] {
        assert!(matches!(
            refused(options, &images),
            ImportError::Option { .. }
        ));
    }
    assert!(matches!(
        refused(default(), &[]),
        ImportError::NoCalibration
    ));
    let odd = [images[0].clone(), vec![0; 31]];
    let error = refused(default(), &odd);
    assert!(matches!(
        error,
        ImportError::Pixels {
            index: 1,
            expected: 32,
            found: 31
        }
    ));
}

#[test]
fn a_network_that_is_not_total() {
    let not_total = |result: Result<_, ImportError>, word: &str| {
        let error: ImportError = result.map(|_: import::Imported| ()).err().unwrap();
        let ImportError::NotTotal { layer, .. } = &error else {
            panic!("{error}");
        };
        assert!(layer == "c1" && error.to_string().contains(word), "{error}");
    };
    let options = ImportOptions {
        range_bits: Some(8),
        ..ImportOptions::default()
    };
    not_total(
        import::onnx(&small().bytes(), &images(3, 32, 1), &options, &mut |_| ()),
        "range bits suffice",
    );
    // Calibrated on black images, where the first layer gives its small bias and nothing else.
    let mut model = small();
    model.graph().initializer[1].float_data = vec![1e-3; 3];
    not_total(model.import(&[vec![0; 32]]), "weight decay");
}
