//! secp256k1 keys: signing and recovery, over the client library's curve.

use std::fmt;

use ::ethers::{
    core::k256::ecdsa::SigningKey,
    signers::{LocalWallet, Signer},
    types::{Signature as LibrarySignature, H256},
};
use thiserror::Error;

use crate::value::{Address, Bytes, Hash, Signature};

/// A key or signature that is none. Says nothing of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not a secret scalar.
    #[error("expected a secret key of 32 bytes between 1 and the order of secp256k1")]
    Secret,
    /// `v` is neither 27 nor 28.
    #[error("expected a signature with v = 27 or 28, got {got}")]
    Parity {
        /// The last byte.
        got: u8,
    },
    /// `s` is in the upper half: the same signature could be written in two ways (EIP-2).
    #[error("expected a signature with s in the lower half of the order")]
    Malleable,
    /// No public key fits.
    #[error("the signature belongs to no key")]
    Unrecoverable,
    /// The library refused to sign.
    #[error("could not sign")]
    Signing,
}

/// A secret key of an account. Shown only as its address; the library wipes it when dropped.
#[derive(Clone)]
pub struct Key(LocalWallet);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address())
    }
}

impl Key {
    /// Reads a secret scalar of 32 bytes, big-endian.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        // The library pads shorter input; a key file cut short must not become another key.
        let secret = <[u8; 32]>::try_from(secret).map_err(|_| KeyError::Secret)?;
        let key = SigningKey::from_slice(&secret).map_err(|_| KeyError::Secret)?;
        Ok(Self(LocalWallet::from(key)))
    }

    /// The account.
    pub fn address(&self) -> Address {
        Bytes(self.0.address().0)
    }

    /// Signs a digest (RFC 6979: the same key and digest give the same signature; `s` in the lower half).
    pub fn sign(&self, digest: Hash) -> Result<Signature, KeyError> {
        let signature = self
            .0
            .sign_hash(H256(digest.0))
            .map_err(|_| KeyError::Signing)?;
        Ok(Bytes(<[u8; 65]>::from(&signature)))
    }

    /// For the adapter, which signs whole transactions.
    pub(super) fn wallet(&self) -> &LocalWallet {
        &self.0
    }
}

/// Half of the order of secp256k1, rounded down, big-endian.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The account that signed `digest`. Refuses the second writing of a signature, as the contract does.
pub fn recover(digest: Hash, signature: &Signature) -> Result<Address, KeyError> {
    let v = signature.0[64];
    if v != 27 && v != 28 {
        return Err(KeyError::Parity { got: v });
    }
    if signature.0[32..64] > HALF_ORDER[..] {
        return Err(KeyError::Malleable);
    }
    let signature =
        LibrarySignature::try_from(signature.as_slice()).map_err(|_| KeyError::Unrecoverable)?;
    let address = signature
        .recover(H256(digest.0))
        .map_err(|_| KeyError::Unrecoverable)?;
    Ok(Bytes(address.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::digest::keccak;

    fn key() -> Key {
        Key::from_secret(&keccak(b"a key worth nothing").0).unwrap()
    }

    #[test]
    fn a_signature_is_its_signers_alone() {
        let digest = keccak(b"said");
        let signature = key().sign(digest).unwrap();
        assert_eq!(recover(digest, &signature), Ok(key().address()));
        assert_ne!(
            recover(keccak(b"not said"), &signature),
            Ok(key().address())
        );
    }

    #[test]
    fn the_second_writing_of_a_signature_is_refused() {
        let digest = keccak(b"said");
        let mut twin = key().sign(digest).unwrap();
        // s -> n - s flips the parity; both verify under plain ECDSA.
        let order: Vec<u8> =
            hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
                .unwrap();
        let mut borrow = 0i16;
        for i in (0..32).rev() {
            let difference = i16::from(order[i]) - i16::from(twin.0[32 + i]) - borrow;
            borrow = i16::from(difference < 0);
            twin.0[32 + i] = difference.rem_euclid(256) as u8;
        }
        twin.0[64] ^= 27 ^ 28;
        assert_eq!(recover(digest, &twin), Err(KeyError::Malleable));
        for v in [0, 1, 26, 29, 255] {
            twin.0[64] = v;
            assert_eq!(recover(digest, &twin), Err(KeyError::Parity { got: v }));
        }
        let mut zero = Bytes([0; 65]);
        zero.0[64] = 27;
        assert_eq!(recover(digest, &zero), Err(KeyError::Unrecoverable));
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        for secret in [&[0u8; 32][..], &[255; 32], &[1; 31], &[1; 33], &[]] {
            assert_eq!(Key::from_secret(secret).err(), Some(KeyError::Secret));
        }
        let secret = keccak(b"a key worth nothing");
        let shown = format!("{:?}", key());
        assert!(shown.contains(&key().address().to_string()));
        assert!(!shown.contains(&hex::encode(secret.0)));
    }
}
