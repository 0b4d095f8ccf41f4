//! A test set on its way to the seller: shards with the seeds of their salt, sealed to the seller's key.
//!
//! ```text
//! magic "zknodeTS" | version u16 | shards u32 |
//!     per shard: seed 32 bytes | samples u32 | per sample: label u16, pixels
//! ```
//! Integers are little-endian; the number of pixels is the architecture's. The seal is libsodium's sealed box
//! (X25519, XSalsa20-Poly1305): only the seller opens it, and nobody learns who sealed it.

use std::fmt;

use crypto_box::{PublicKey, SecretKey};
use rand::{CryptoRng, RngCore};
use thiserror::Error;
use zknode_circuit::{
    commitment::{CommitError, CommittedShard, Seed},
    layout::Layout,
    srs::Srs,
    witness::instance::Sample as CircuitSample,
};

const MAGIC: &[u8; 8] = b"zknodeTS";
const VERSION: u16 = 1;
/// Bytes before the first shard.
const HEADER: usize = 8 + 2 + 4;
/// Bytes of a shard before its samples.
const SHARD_HEADER: usize = 32 + 4;
/// Bytes a sealed box adds: the one-time key and the tag.
const SEAL: usize = 32 + 16;

/// Which delivery of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The drawn shards.
    Preview,
    /// All shards, drawn ones included.
    Rest,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preview => "preview",
            Self::Rest => "delivery",
        })
    }
}

/// One labelled image in a delivery. Secret: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sample {
    /// Channels first, a byte a cell.
    pub pixels: Vec<u8>,
    /// Class index.
    pub label: u16,
}

/// What opens one shard commitment. Secret: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ShardOpening {
    /// Of the salt.
    pub seed: Seed,
    /// In the committed order.
    pub samples: Vec<Sample>,
}

impl ShardOpening {
    /// The samples as the circuit takes them.
    pub fn samples(&self) -> Vec<CircuitSample<'_>> {
        self.samples
            .iter()
            .map(|sample| CircuitSample {
                pixels: &sample.pixels,
                label: sample.label,
            })
            .collect()
    }

    /// Commits to the shard it opens.
    pub fn commit(&self, layout: &Layout, srs: &Srs) -> Result<CommittedShard, CommitError> {
        CommittedShard::new(layout, &self.samples(), &self.seed, srs)
    }
}

/// A delivery that is none.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// Sealed to another key, or changed on the way.
    #[error("the delivery does not open with this reading key: it was sealed to another one or changed on the way")]
    Sealed,
    /// Could not be sealed.
    #[error("the delivery could not be sealed")]
    Sealing,
    /// Not such a file.
    #[error("the opened delivery is no test set")]
    Magic,
    /// Another release's.
    #[error(
        "expected a delivery of version {VERSION}, got {got}: run the same release on both sides"
    )]
    Version {
        /// The version found.
        got: u16,
    },
    /// Cut short.
    #[error("the opened delivery ends inside {what}")]
    Truncated {
        /// What is missing.
        what: &'static str,
    },
    /// Longer than it says.
    #[error("the opened delivery has {0} bytes after its last shard")]
    Trailing(usize),
    /// More than the agreement allows.
    #[error("the delivery declares {got} {what}, expected {expected}")]
    Count {
        /// Of what.
        what: &'static str,
        /// Agreed, or the most allowed.
        expected: usize,
        /// Declared.
        got: usize,
    },
}

/// Greatest length of the ciphertext of `shards` shards with `samples` samples of `pixels` bytes in all.
pub fn sealed_length(shards: usize, samples: usize, pixels: usize) -> usize {
    let sample = pixels.saturating_add(2);
    samples
        .saturating_mul(sample)
        .saturating_add(shards.saturating_mul(SHARD_HEADER))
        .saturating_add(HEADER + SEAL)
}

/// Writes and seals a test set.
pub fn seal(
    shards: &[ShardOpening],
    key: &[u8; 32],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Vec<u8>, DeliveryError> {
    let mut bytes = vec![];
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((shards.len() as u32).to_le_bytes());
    for shard in shards {
        bytes.extend(shard.seed.bytes());
        bytes.extend((shard.samples.len() as u32).to_le_bytes());
        for sample in &shard.samples {
            bytes.extend(sample.label.to_le_bytes());
            bytes.extend(&sample.pixels);
        }
    }
    PublicKey::from_bytes(*key)
        .seal(rng, &bytes)
        .map_err(|_| DeliveryError::Sealing)
}

/// Opens a test set of exactly `shards` shards with at most `samples` samples each, of `pixels` bytes.
pub fn open(
    sealed: &[u8],
    key: &SecretKey,
    shards: usize,
    samples: usize,
    pixels: usize,
) -> Result<Vec<ShardOpening>, DeliveryError> {
    let bytes = key.unseal(sealed).map_err(|_| DeliveryError::Sealed)?;
    let mut reader = Reader(&bytes);
    if reader.take(8, "the magic")? != MAGIC {
        return Err(DeliveryError::Magic);
    }
    let got = u16::from_le_bytes(reader.array("the version")?);
    if got != VERSION {
        return Err(DeliveryError::Version { got });
    }
    let count = |what, got, expected, fits: bool| {
        if fits {
            return Ok(got);
        }
        Err(DeliveryError::Count {
            what,
            expected,
            got,
        })
    };
    let found = u32::from_le_bytes(reader.array("the number of shards")?) as usize;
    count("shards", found, shards, found == shards)?;
    let mut openings = vec![];
    for _ in 0..shards {
        let seed = Seed::new(reader.array("a seed")?);
        let found = u32::from_le_bytes(reader.array("the number of samples")?) as usize;
        count("samples in a shard", found, samples, found <= samples)?;
        let mut shard = vec![];
        for _ in 0..found {
            shard.push(Sample {
                label: u16::from_le_bytes(reader.array("a label")?),
                pixels: reader.take(pixels, "an image")?.to_vec(),
            });
        }
        openings.push(ShardOpening {
            seed,
            samples: shard,
        });
    }
    match reader.0.len() {
        0 => Ok(openings),
        rest => Err(DeliveryError::Trailing(rest)),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], DeliveryError> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(DeliveryError::Truncated { what })?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DeliveryError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::{rngs::StdRng, Rng, SeedableRng};

    const PIXELS: usize = 5;

    fn shards() -> Vec<ShardOpening> {
        let sample = |n: u8| Sample {
            pixels: vec![n; PIXELS],
            label: u16::from(n),
        };
        let shard = |n: u8| ShardOpening {
            seed: Seed::new([n; 32]),
            samples: (0..n).map(sample).collect(),
        };
        vec![shard(3), shard(1)]
    }

    #[test]
    fn a_delivery_opens_with_its_key_only() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SecretKey::generate(&mut rng);
        let sealed = seal(&shards(), key.public_key().as_bytes(), &mut rng).unwrap();
        assert_eq!(sealed.len(), sealed_length(2, 4, PIXELS));
        assert!(open(&sealed, &key, 2, 3, PIXELS).unwrap() == shards());
        let other = SecretKey::generate(&mut rng);
        let refused = |result: Result<_, DeliveryError>| result.err().unwrap();
        assert_eq!(
            refused(open(&sealed, &other, 2, 3, PIXELS)),
            DeliveryError::Sealed
        );
        for index in [0, 31, 40, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(
                refused(open(&changed, &key, 2, 3, PIXELS)),
                DeliveryError::Sealed
            );
        }
        for (shards, samples, pixels) in [(1, 3, PIXELS), (3, 3, PIXELS), (2, 2, PIXELS)] {
            let error = refused(open(&sealed, &key, shards, samples, pixels));
            assert!(matches!(error, DeliveryError::Count { .. }), "{error}");
        }
        assert!(open(&sealed, &key, 2, 3, PIXELS + 1).is_err());
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let mut rng = StdRng::seed_from_u64(2);
        let key = SecretKey::generate(&mut rng);
        let sealed = seal(&shards(), key.public_key().as_bytes(), &mut rng).unwrap();
        let bytes = key.unseal(&sealed).unwrap();
        let mut attempt = |bytes: &[u8]| {
            let sealed = key.public_key().seal(&mut rng, bytes).unwrap();
            open(&sealed, &key, 2, 3, PIXELS).map(drop)
        };
        assert_eq!(attempt(&bytes), Ok(()));
        for length in 0..bytes.len() {
            assert!(attempt(&bytes[..length]).is_err(), "{length} bytes");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(attempt(&longer), Err(DeliveryError::Trailing(1)));
        let mut version = bytes.clone();
        version[8] = 2;
        assert_eq!(attempt(&version), Err(DeliveryError::Version { got: 2 }));
        let mut coins = StdRng::seed_from_u64(3);
        for _ in 0..1000 {
            let noise: Vec<u8> = (0..coins.gen_range(0..60)).map(|_| coins.gen()).collect();
            assert!(attempt(&noise).is_err());
        }
    }
}
