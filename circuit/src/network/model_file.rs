//! The file a model is kept in: architecture and weights. Secret, like the weights in it.
//!
//! ```text
//! magic         8 bytes  "zknodemd"
//! version       4        little endian: 2 where a layer is a max pooling, else 1
//! length        4        of the architecture
//! architecture           JSON
//! weights       8 each   signed, little endian: per linear layer its terms in order, then its biases
//! digest        32       Keccak-256 of everything before it
//! ```
//!
//! How many weights there are follows from the architecture alone, so the length of a file is
//! known once its head is read, and nothing is allocated by what a stranger declares.

use super::{
    Architecture, ArchitectureError, Layer, LinearWeights, Network, NetworkError, Weights,
};
use sha3::{Digest, Keccak256};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"zknodemd";
/// Latest version of the format; a file has the least that tells its layers.
const VERSION: u32 = 2;
/// Magic, version, length.
const HEAD: usize = 16;
const DIGEST: usize = 32;
const WORD: usize = 8;

/// Why a model file is not read.
#[derive(Debug, Error)]
pub enum ModelFileError {
    /// Not such a file at all.
    #[error("this is not a zknode model file; `zknode model import` makes one from an ONNX or TensorFlow Lite file")]
    Magic,
    /// Another version of the format.
    #[error("the model file has version {found}, this program reads versions 1 to {VERSION}; update it or import the model again")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Cut off or extended.
    #[error("the model file is damaged: expected {expected} bytes, found {found}; restore it or import the model again")]
    Length {
        /// What its head promises.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// The digest does not fit the contents.
    #[error("the model file is damaged: its digest does not match; restore it or import the model again")]
    Digest,
    /// The architecture is not what this version writes.
    #[error("the model file's architecture cannot be read: {0}")]
    Header(#[from] serde_json::Error),
    /// The architecture breaks a rule.
    #[error("the model file's architecture is refused: {0}")]
    Architecture(#[from] ArchitectureError),
    /// The weights do not make a total network.
    #[error("the model file's network is refused: {0}")]
    Network(#[from] NetworkError),
}

/// The file of a network.
pub fn write(network: &Network) -> Result<Vec<u8>, ModelFileError> {
    let architecture = serde_json::to_vec(network.architecture())?;
    let mut file = MAGIC.to_vec();
    file.extend(version(network.architecture()).to_le_bytes());
    file.extend((architecture.len() as u32).to_le_bytes());
    file.extend(architecture);
    for layer in &network.weights().layers {
        for value in layer.terms.iter().flatten().chain(&layer.bias) {
            file.extend(value.to_le_bytes());
        }
    }
    let digest = Keccak256::digest(&file);
    file.extend(digest);
    Ok(file)
}

/// The network of a file. Total on hostile bytes.
pub fn read(file: &[u8]) -> Result<Network, ModelFileError> {
    let found = file.len();
    let length = |expected| ModelFileError::Length { expected, found };
    let rest = file.strip_prefix(MAGIC).ok_or(ModelFileError::Magic)?;
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| length(HEAD))?;
    let version = u32::from_le_bytes(*version);
    if !(1..=VERSION).contains(&version) {
        return Err(ModelFileError::Version { found: version });
    }
    let (size, rest) = rest.split_first_chunk().ok_or_else(|| length(HEAD))?;
    let size = u32::from_le_bytes(*size) as usize;
    let (architecture, rest) = rest
        .split_at_checked(size)
        .ok_or_else(|| length(HEAD.saturating_add(size).saturating_add(DIGEST)))?;
    let (contents, digest) = file
        .split_last_chunk::<DIGEST>()
        .ok_or_else(|| length(HEAD + DIGEST))?;
    let architecture: Architecture = serde_json::from_slice(architecture)?;
    let sizes = sizes(&architecture)?;
    let weights = sizes.iter().flatten().copied().sum::<usize>() * WORD;
    if rest.len() != weights + DIGEST {
        return Err(length(HEAD + size + weights + DIGEST));
    }
    if Keccak256::digest(contents).as_slice() != digest {
        return Err(ModelFileError::Digest);
    }
    let mut words = rest.chunks_exact(WORD).map(word);
    let mut take = |count: usize| words.by_ref().take(count).collect::<Vec<i64>>();
    let layers = sizes
        .iter()
        .map(|layer| {
            let mut terms: Vec<_> = layer.iter().map(|count| take(*count)).collect();
            let bias = terms.pop().unwrap_or_default();
            LinearWeights { terms, bias }
        })
        .collect();
    Ok(Network::new(architecture, Weights { layers })?)
}

/// The version of a file with this architecture.
fn version(architecture: &Architecture) -> u32 {
    match architecture.has_max_pool() {
        true => 2,
        false => 1,
    }
}

/// Per linear layer: weights of each term, then biases. At most 2^26 each, by the rules of
/// [`Architecture::shapes`].
fn sizes(architecture: &Architecture) -> Result<Vec<Vec<usize>>, ArchitectureError> {
    let shapes = architecture.shapes()?;
    let channels = |tensor: usize| shapes.get(tensor).map_or(0, |shape| shape.channels);
    let linears = architecture.layers.iter().filter_map(|layer| match layer {
        Layer::Linear(linear) => Some(linear),
        _ => None,
    });
    Ok(linears
        .map(|linear| {
            let output = linear.shape.channels;
            let terms = linear.terms.iter();
            let weights = terms.map(|term| term.weights(channels(term.input.0), output));
            weights.chain([output]).collect()
        })
        .collect())
}

fn word(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_le_bytes)
}
