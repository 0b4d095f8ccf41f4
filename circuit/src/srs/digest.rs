//! The digest that names a powers-of-tau file: BLAKE2b-512 of all its bytes, as `b2sum` prints it and as the table of
//! ceremony files in the snarkjs README publishes it.

use std::fmt;
use std::str::FromStr;

use super::SrsError;

/// BLAKE2b-512 of a whole file; shown and parsed as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileDigest([u8; 64]);

impl FileDigest {
    /// The digest with these bytes.
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes, in the order they are printed.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl FromStr for FileDigest {
    type Err = SrsError;

    fn from_str(text: &str) -> Result<Self, SrsError> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| SrsError::DigestText {
            got: text.trim().chars().count(),
        })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileDigest({self})")
    }
}
