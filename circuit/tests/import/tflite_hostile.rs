//! TensorFlow Lite files that are refused, each for its reason, and damaged ones: nothing in a file
//! makes the import panic.

use crate::tflite::*;
use proptest::prelude::*;
use zknode_circuit::network::import::{self, ImportError, ImportOptions};

/// A convolution, a depthwise one, a sum, a pool, a dense layer, a softmax; bytes throughout.
fn small() -> Model {
    let mut m = Model::default();
    let image = m.bytes(&[1, 4, 4, 2], 0.02, -128);
    let same = [(1, Part::Word(1)), (2, Part::Word(1)), (3, Part::Byte(1))];
    let w = m.weights(&[3, 3, 3, 2], &integers(54, 1), &[0.01, 0.02, 0.005], 0);
    let b = m.integers(&[3], &[5, -70, 900], &[2e-4, 4e-4, 1e-4]);
    let a = m.bytes(&[1, 4, 4, 3], 0.05, -128);
    m.operator(3, &[image, w, b], a, 1, &same);
    let w = m.weights(&[1, 3, 3, 3], &integers(27, 2), &[0.01, 0.02, 0.005], 3);
    let d = m.bytes(&[1, 4, 4, 3], 0.05, 10);
    m.operator(4, &[a, w, -1], d, 2, &same[..2]);
    let sum = m.bytes(&[1, 4, 4, 3], 0.06, -100);
    m.operator(0, &[a, d], sum, 11, &[]);
    let pooled = m.bytes(&[1, 2, 2, 3], 0.06, -100);
    let options = [(0, 1), (1, 2), (2, 2), (3, 2), (4, 2)];
    let options = options.map(|(field, value)| match field {
        0 => (0, Part::Byte(value as i8)),
        _ => (field, Part::Word(value)),
    });
    m.operator(1, &[sum], pooled, 5, &options);
    let flat = m.bytes(&[1, 12], 0.06, -100);
    m.operator(22, &[pooled], flat, 0, &[]);
    let w = m.weights(&[4, 12], &integers(48, 3), &[0.01], 0);
    let logits = m.bytes(&[1, 4], 0.1, 3);
    m.operator(9, &[flat, w], logits, 8, &[]);
    let end = m.bytes(&[1, 4], 1.0 / 256.0, -128);
    m.operator(25, &[logits], end, 9, &[(0, Part::Float(1.0))]);
    (m.inputs, m.outputs) = (vec![image], vec![end]);
    m
}

/// The small model, changed.
fn changed(change: impl FnOnce(&mut Model)) -> Model {
    let mut model = small();
    change(&mut model);
    model
}

#[test]
fn the_small_model_needs_no_images() {
    let model = small();
    let imported = model.import(&[]).unwrap();
    assert!(imported.float.is_quantized());
    assert!(imported.report.quantized_source);
    assert_eq!(imported.report.calibration_images, 0);
    assert!(
        imported.report.notes[0].contains("SOFTMAX"),
        "{:?}",
        imported.report.notes
    );
    let again = model.import(&[]).unwrap();
    assert!(imported.network.weights() == again.network.weights());
    // The sum takes the layer in; scales and zero points are the file's own.
    let linears = imported
        .report
        .layers
        .iter()
        .filter_map(|l| l.linear.as_ref());
    let scales: Vec<_> = linears.map(|l| (l.scale as f32, l.zero_point)).collect();
    assert_eq!(scales[..2], [(0.05, 0), (0.06, 28)]);
}

#[test]
fn a_float_model_needs_images() {
    let mut m = Model::default();
    let image = m.floats(&[1, 3]);
    let w = m.constant(&[2, 3], &[1.0, 0.5, -1.0, 0.25, 1.0, 0.0]);
    let logits = m.floats(&[1, 2]);
    m.operator(9, &[image, w], logits, 8, &[]);
    (m.inputs, m.outputs) = (vec![image], vec![logits]);
    assert!(m.import(&[vec![9; 3]]).is_ok());
    let hidden = m.floats(&[1, 2]);
    m.operators[0].outputs = vec![hidden];
    let w = m.constant(&[2, 2], &[1.0, 0.5, -1.0, 0.25]);
    m.operator(9, &[hidden, w], logits, 8, &[]);
    assert!(!m.float().unwrap().is_quantized());
    assert!(matches!(m.import(&[]), Err(ImportError::NoCalibration)));
}

/// A sum has no constants: some bytes of a file, and three weights for every channel.
#[test]
fn a_small_file_of_many_large_sums_is_refused() {
    let mut m = Model::default();
    let image = m.floats(&[1, 1 << 24]);
    let mut last = image;
    for _ in 0..64 {
        let sum = m.floats(&[1, 1 << 24]);
        m.operator(0, &[last, last], sum, 11, &[]);
        last = sum;
    }
    (m.inputs, m.outputs) = (vec![image], vec![last]);
    let error = m.float().map(|_| ()).unwrap_err();
    let expected = "the number of weights and biases";
    assert!(
        matches!(error, ImportError::TooLarge { what, found, .. } if what == expected && found == 6 << 24),
        "{error}"
    );
}

#[test]
fn what_is_not_supported_is_named() {
    let operator = |index: usize, field: usize, part: Part| {
        changed(|m| m.operators[index].options.push((field, part)))
    };
    let option = |index: usize, field: usize, part: Part| {
        changed(|m| {
            m.operators[index].options.retain(|(f, _)| *f != field);
            m.operators[index].options.push((field, part));
        })
    };
    let cases = [
        (changed(|m| m.operators[2].code = 18), "number 18 of BuiltinOperator on inputs [1, 4, 4, 3], [1, 4, 4, 3] is not supported; supported are ADD, "),
        (changed(|m| m.operators[2].code = 200), "node 2 t6: operator number 200"),
        (option(0, 3, Part::Byte(2)), "supported are NONE (0), RELU (1) and RELU6 (3)"),
        (operator(0, 4, Part::Word(2)), "only dilation 1"),
        (operator(1, 6, Part::Word(2)), "only dilation 1"),
        (option(0, 1, Part::Word(0)), "must be positive"),
        (option(0, 2, Part::Word(-1)), "must be positive"),
        (operator(0, 0, Part::Byte(7)), "SAME or VALID"),
        (option(3, 3, Part::Word(9)), "larger than the tensor"),
        (operator(3, 5, Part::Byte(1)), "activation function after a pooling"),
        (operator(5, 1, Part::Byte(1)), "shuffled"),
        (changed(|m| (m.operators[2].code, m.operators[2].kind) = (2, 10)), "the last axis"),
        (option(6, 0, Part::Float(-1.0)), "beta positive"),
        (changed(|m| m.operators[0].kind = 2), "expected options of type 1, found type 2"),
        (changed(|m| m.operators[0].inputs.truncate(1)), "input 1 is missing"),
        (changed(|m| m.operators[0].inputs.swap(0, 1)), "must depend on the image"),
        (changed(|m| m.operators[0].inputs[1] = 0), "must be a constant"),
        (changed(|m| m.operators.swap(0, 1)), "is made by no earlier node"),
        (changed(|m| m.operators[1].outputs.push(3)), "is made twice"),
        (changed(|m| m.operators[1].outputs = vec![99]), "does not exist"),
        (changed(|m| m.operators[1].inputs[0] = -2), "does not exist"),
        (changed(|m| m.inputs.push(0)), "one input, found 2"),
        (changed(|m| m.outputs.clear()), "one output, found 0"),
        (changed(|m| m.tensors[0].shape[0] = 2), "batch 1"),
        (changed(|m| m.tensors[0].shape[1] = -1), "batch 1"),
        (changed(|m| m.tensors[3].shape[1] = 5), "the file says [1, 5, 4, 3]"),
        (changed(|m| m.tensors[1].shape[1] = 2), "shape [3, 2, 3, 2] does not go with 54 bytes"),
        (changed(|m| m.tensors[1].shape[1] = -3), "does not go with"),
        (changed(|m| m.tensors[1].element = 7), "expected elements float, int8, uint8 or int32, found TensorFlow Lite's type 7"),
        (changed(|m| m.tensors[3].element = 7), "expected elements float, int8 or uint8"),
        (changed(|m| m.tensors[1].scale[1] = 0.0), "positive and finite"),
        (changed(|m| m.tensors[1].scale[1] = f32::NAN), "positive and finite"),
        (changed(|m| m.tensors[1].scale.truncate(2)), "zero point"),
        (changed(|m| m.tensors[1].zero_point[0] = i64::MIN), "zero point"),
        (changed(|m| m.tensors[1].dimension = 9), "one scale, or one for each channel"),
        (changed(|m| m.tensors[3].scale.clear()), "expected scales"),
        (changed(|m| m.tensors[3].zero_point[0] = 128), "not among its values"),
        (changed(|m| m.tensors[3].shape = vec![1; 9]), "the number of sides"),
        (changed(|m| m.operators[6].outputs = vec![3]), "is made twice"),
        (changed(|m| m.outputs = vec![8]), "(the output) on inputs [1, 12]: expected one position"),
    ];
    let mut bad = vec![];
    for (model, expected) in cases {
        let error = model
            .import(&[])
            .err()
            .map_or(String::new(), |e| e.to_string());
        if !error.contains(expected) {
            bad.push((error, expected));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn a_file_that_is_no_model() {
    let refused = |file: &[u8]| {
        import::float(file, &ImportOptions::default())
            .err()
            .unwrap()
    };
    assert!(matches!(refused(b""), ImportError::NoGraph));
    assert!(matches!(
        refused(b"\x00\x00\x00\x00TFL3"),
        ImportError::FlatBuffer { .. }
    ));
    assert!(matches!(
        refused(b"\xff\xff\xff\xffTFL3"),
        ImportError::FlatBuffer { .. }
    ));
}

#[test]
fn a_cut_file_is_refused_at_every_length() {
    let file = small().file();
    let import = |file: &[u8]| import::float(file, &ImportOptions::default());
    assert!(import(&file).is_ok());
    for length in 0..file.len() {
        // Padding at the very end is nothing to miss.
        let lost = file[length..].iter().any(|&byte| byte != 0);
        assert!(
            import(&file[..length]).is_err() || !lost,
            "{length} of {}",
            file.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever becomes of a file, the import ends, and what it lets through has a run.
    #[test]
    fn a_changed_file(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut file = small().file();
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        let options = ImportOptions::default();
        if let Ok(float) = import::float(&file, &options) {
            if float.input().cells() > 1 << 12 {
                return Ok(());
            }
            let image = vec![200u8; float.input().cells()];
            if let Ok(imported) = import::quantize(float, &[&image], &options, &mut |_| ()) {
                prop_assert!(imported.network.run(&image).is_ok());
            }
        }
    }

    /// The same where the integers stand that mean something.
    #[test]
    fn a_changed_word(word in any::<prop::sample::Index>(), value in prop_oneof![any::<i32>(), -4i32..70]) {
        let mut file = small().file();
        let at = 4 * word.index(file.len() / 4);
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        if let Ok(float) = import::float(&file, &ImportOptions::default()) {
            prop_assert!(float.classes() > 1);
        }
    }
}
