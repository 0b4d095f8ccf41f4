//! What is bundled in the program: 256 real MNIST test images and a LeNet-5 trained on the training
//! split, so that a demonstration needs no download. Their manifests say where they come from.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::DatasetError;
use crate::idx;
use crate::sample::Dataset;

const MNIST_MANIFEST: &str = include_str!("../fixtures/mnist-256/manifest.json");
const MNIST_IMAGES: &str = "mnist-256-images-idx3-ubyte.gz";
const MNIST_LABELS: &str = "mnist-256-labels-idx1-ubyte.gz";
const LENET5_MANIFEST: &str = include_str!("../models/lenet5/manifest.json");

/// Classes of MNIST: the ten digits.
const DIGITS: usize = 10;

/// The part of a manifest that pins files.
#[derive(Deserialize)]
struct Manifest {
    files: Vec<Pinned>,
}

#[derive(Deserialize)]
struct Pinned {
    name: String,
    sha256: String,
}

/// 256 images of the MNIST test split, 1x28x28, 10 classes: every 39th of the 10,000
/// (`fixtures/mnist-256/manifest.json`).
///
/// # Errors
/// [`DatasetError::Digest`] when the files of this build are not the ones of the manifest.
pub fn mnist_256() -> Result<Dataset, DatasetError> {
    let images = include_bytes!("../fixtures/mnist-256/mnist-256-images-idx3-ubyte.gz");
    let labels = include_bytes!("../fixtures/mnist-256/mnist-256-labels-idx1-ubyte.gz");
    check_digest(MNIST_MANIFEST, MNIST_IMAGES, images)?;
    check_digest(MNIST_MANIFEST, MNIST_LABELS, labels)?;
    idx::parse(
        (Path::new(MNIST_IMAGES), images),
        (Path::new(MNIST_LABELS), labels),
        Some(DIGITS),
    )
}

/// LeNet-5 as float ONNX, opset 13: input `image` (batch_size x 1 x 28 x 28, pixel / 255), output
/// `logits` (batch_size x 10). Its accuracy is in [`lenet5_manifest`].
///
/// # Errors
/// [`DatasetError::Digest`] when the file of this build is not the one of the manifest.
pub fn lenet5_onnx() -> Result<&'static [u8], DatasetError> {
    let model = include_bytes!("../models/lenet5/lenet5.onnx");
    check_digest(LENET5_MANIFEST, "lenet5.onnx", model)?;
    Ok(model)
}

/// The manifest of [`lenet5_onnx`], JSON: origin, licence, SHA-256, training, accuracy as counts.
pub fn lenet5_manifest() -> &'static str {
    LENET5_MANIFEST
}

/// The manifest of [`mnist_256`], JSON: origin, licence, SHA-256, which images.
pub fn mnist_256_manifest() -> &'static str {
    MNIST_MANIFEST
}

fn check_digest(manifest: &str, name: &'static str, bytes: &[u8]) -> Result<(), DatasetError> {
    let got = hex::encode(Sha256::digest(bytes));
    let expected = serde_json::from_str(manifest)
        .map(|manifest: Manifest| manifest.files)
        .unwrap_or_default()
        .into_iter()
        .find(|file| file.name == name)
        .map_or_else(|| "nothing about it".to_owned(), |file| file.sha256);
    if got == expected {
        return Ok(());
    }
    Err(DatasetError::Digest {
        name,
        expected,
        got,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_changed_file_is_refused() {
        let mut model = lenet5_onnx().unwrap().to_vec();
        model[1000] ^= 1;
        assert!(matches!(
            check_digest(LENET5_MANIFEST, "lenet5.onnx", &model),
            Err(DatasetError::Digest { .. })
        ));
    }

    #[test]
    fn a_file_the_manifest_does_not_name_is_refused() {
        let error = check_digest(MNIST_MANIFEST, "lenet5.onnx", lenet5_onnx().unwrap());
        assert!(error.unwrap_err().to_string().contains("nothing about it"));
        assert!(check_digest("not json", "lenet5.onnx", &[]).is_err());
    }
}
