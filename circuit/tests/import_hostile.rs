//! Damaged and hostile files: nothing in a file makes the import panic.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod model;

use model::check::*;
use model::*;
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
