//! The account's key, encrypted on disk, and the key that opens deliveries.

use std::path::{Path, PathBuf};

use crypto_box::SecretKey;
use rand::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zknode_protocol::{
    chain::key::{Key, KeyError},
    value::Bytes,
};

use crate::home::{read_file, write_new, Home, HomeError};

/// Longest key or password file.
const MAX_FILE: u64 = 1 << 16;

/// A key that cannot be used. Says nothing of keys and passwords.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Disk trouble, or a file in the way.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// No account yet.
    #[error("there is no account in {path}; make one with `zknode account new`")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// No password given.
    #[error("the key is encrypted: name the file that holds its password with --password-file or ZKNODE_PASSWORD_FILE")]
    NoPassword,
    /// Wrong password or no key file.
    #[error("{path} does not open with this password, or is no key file: {reason}")]
    Locked {
        /// The key file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// The key file could not be written.
    #[error("{path} cannot be written: {reason}")]
    NotStored {
        /// The key file.
        path: PathBuf,
        /// What the writer says.
        reason: String,
    },
    /// Decrypted to something else than a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A reading key of another version, or none.
    #[error("{path} is not a reading key of version 1: {reason}")]
    ReadingKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a password file: its first line.
pub fn password(file: Option<&Path>) -> Result<String, KeyFileError> {
    let file = file.ok_or(KeyFileError::NoPassword)?;
    let bytes = read_file(file, MAX_FILE)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Makes an account with a fresh key, encrypted with `password`.
pub fn new_account(
    home: &Home,
    password: &str,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Key, KeyFileError> {
    let mut secret = [0; 32];
    loop {
        rng.fill_bytes(&mut secret);
        if Key::from_secret(&secret).is_ok() {
            break;
        }
    }
    import_account(home, &secret, password, rng)
}

/// Stores a known secret as the home's account.
pub fn import_account(
    home: &Home,
    secret: &[u8],
    password: &str,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<Key, KeyFileError> {
    let key = Key::from_secret(secret)?;
    let path = home.account();
    if path.exists() {
        return Err(HomeError::Exists { path }.into());
    }
    let failed = |error: &dyn std::fmt::Display| KeyFileError::NotStored {
        path: path.clone(),
        reason: error.to_string(),
    };
    // In a folder of its own first: the library writes where others may read, and not at once.
    let aside = tempfile::tempdir_in(home.path()).map_err(|error| failed(&error))?;
    eth_keystore::encrypt_key(aside.path(), rng, secret, password, Some("account"))
        .map_err(|error| failed(&error))?;
    let text = read_file(&aside.path().join("account"), MAX_FILE)?;
    write_new(&path, &text)?;
    Ok(key)
}

/// Opens the home's account.
pub fn account(home: &Home, password_file: Option<&Path>) -> Result<Key, KeyFileError> {
    let path = home.account();
    if !path.exists() {
        return Err(KeyFileError::Missing { path });
    }
    let secret = eth_keystore::decrypt_key(&path, password(password_file)?).map_err(|error| {
        KeyFileError::Locked {
            path,
            reason: error.to_string(),
        }
    })?;
    Ok(Key::from_secret(&secret)?)
}

#[derive(Serialize, Deserialize)]
struct ReadingKeyFile {
    version: u16,
    secret: Bytes<32>,
}

/// The key that opens deliveries; made when there is none.
pub fn reading_key(
    home: &Home,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<SecretKey, KeyFileError> {
    let path = home.reading_key();
    if !path.exists() {
        let secret = Bytes(SecretKey::generate(rng).to_bytes());
        let file = ReadingKeyFile { version: 1, secret };
        let text = serde_json::to_vec(&file).unwrap_or_default();
        write_new(&path, &text)?;
    }
    let refuse = |reason: String| KeyFileError::ReadingKey {
        path: path.clone(),
        reason,
    };
    let text = read_file(&path, MAX_FILE)?;
    // The parser's own message could quote the secret.
    let file: ReadingKeyFile =
        serde_json::from_slice(&text).map_err(|_| refuse("it does not parse".into()))?;
    if file.version != 1 {
        return Err(refuse(format!("its version is {}", file.version)));
    }
    Ok(SecretKey::from_bytes(file.secret.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::{rngs::StdRng, SeedableRng};

    #[test]
    fn an_account_opens_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        assert!(matches!(
            account(&home, None),
            Err(KeyFileError::Missing { .. })
        ));
        let key = new_account(&home, "right", &mut rng).unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "right\n").unwrap();
        assert_eq!(
            account(&home, Some(&file)).unwrap().address(),
            key.address()
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(home.account())
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&file, "wrong\n").unwrap();
        let error = account(&home, Some(&file)).unwrap_err();
        assert!(matches!(error, KeyFileError::Locked { .. }));
        assert!(!error.to_string().contains("wrong"));
        assert!(matches!(
            account(&home, None),
            Err(KeyFileError::NoPassword)
        ));
        // A second account would make the first one's money unreachable.
        assert!(matches!(
            new_account(&home, "right", &mut rng),
            Err(KeyFileError::Home(HomeError::Exists { .. }))
        ));
    }

    #[test]
    fn the_reading_key_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let mut rng = StdRng::seed_from_u64(2);
        let first = reading_key(&home, &mut rng).unwrap();
        let second = reading_key(&home, &mut rng).unwrap();
        assert_eq!(first.to_bytes(), second.to_bytes());
        std::fs::write(home.reading_key(), "{\"version\":2,\"secret\":\"0x00\"}").unwrap();
        assert!(reading_key(&home, &mut rng).is_err());
    }
}
