//! The fixed-length byte values that cross every border of this crate: addresses, hashes, curve points,
//! signatures and amounts. Written as `0x` and lowercase hex (amounts as decimal text) wherever they are serialized.

use std::{fmt, str::FromStr};

use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// `N` bytes shown as hex. The lengths differ, so the aliases below are different types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes<const N: usize>(pub [u8; N]);

/// An account or contract: 20 bytes.
pub type Address = Bytes<20>;
/// A Keccak-256 digest, or any EVM word that is compared and never counted with.
pub type Hash = Bytes<32>;
/// An uncompressed BN254 G1 point, big-endian `x || y`; opaque here, checked by the circuit and the verifier.
pub type Point = Bytes<64>;
/// A recoverable ECDSA signature, `r || s || v` with `v` in {27, 28}.
pub type Signature = Bytes<65>;

/// Names a registered model (see [`crate::digest::model_id`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(pub Hash);

/// Names an agreement (see [`crate::agreement::agreement_id`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgreementId(pub Hash);

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AgreementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not a value of this crate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Hex text of the wrong length.
    #[error("expected 0x and {expected} hex digits, got {got} characters")]
    Length {
        /// Hex digits after the prefix.
        expected: usize,
        /// Characters found.
        got: usize,
    },
    /// A character that is no hex digit, or no `0x` prefix.
    #[error("expected 0x and hex digits: {0}")]
    Hex(String),
    /// A decimal amount that is not a number below 2^128.
    #[error("expected a decimal number of base units below 2^128, got {0:?}")]
    Amount(String),
}

impl<const N: usize> Bytes<N> {
    /// All zero: the absent address, the empty leaf.
    pub const ZERO: Self = Self([0; N]);

    /// The bytes as a slice.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for Bytes<N> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| ValueError::Hex("the prefix 0x is missing".into()))?;
        if digits.len() != 2 * N {
            return Err(ValueError::Length {
                expected: 2 * N,
                got: digits.len(),
            });
        }
        let mut bytes = [0; N];
        hex::decode_to_slice(digits, &mut bytes).map_err(|e| ValueError::Hex(e.to_string()))?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Money in base units (wei, or a token's smallest unit). Serialized as decimal text: JSON numbers lose precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` past 2^128.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map(Self)
            .map_err(|_| ValueError::Amount(text.into()))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Bytes of any length: code, proofs, transactions. Serialized as hex, shown as their length.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Data(pub Vec<u8>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.0.len())
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("the prefix 0x is missing"))?;
        hex::decode(digits).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hex_text_round_trips_and_refuses_the_rest() {
        let address: Address = "0x00000000000000000000000000000000000000ff"
            .parse()
            .unwrap();
        assert_eq!(address.0[19], 255);
        assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        assert_eq!(
            "0x00".parse::<Address>(),
            Err(ValueError::Length {
                expected: 40,
                got: 2
            })
        );
        assert!(matches!("00".parse::<Bytes<1>>(), Err(ValueError::Hex(_))));
        assert!(matches!(
            "0xzz".parse::<Bytes<1>>(),
            Err(ValueError::Hex(_))
        ));
    }

    #[test]
    fn amounts_are_decimal_text() {
        let big = Amount(u128::MAX);
        let json = serde_json::to_string(&big).unwrap();
        assert_eq!(json, format!("\"{}\"", u128::MAX));
        assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), big);
        assert!("-1".parse::<Amount>().is_err());
        assert!("340282366920938463463374607431768211456"
            .parse::<Amount>()
            .is_err());
        assert_eq!(big.checked_add(Amount(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount(1)), None);
    }
}
