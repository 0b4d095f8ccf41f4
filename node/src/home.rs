//! Where a party keeps its files: one folder, readable by its owner alone.
//!
//! ```text
//! chain.json       RPC address, chain id, contracts
//! account.json     the account's key, encrypted (Web3 Secret Storage)
//! reading.key      the secret key that opens deliveries (seller)
//! zknode.redb      everything that must survive a crash
//! srs/k17.srs      reference strings
//! keys/*.zkpk      cached proving keys: may be deleted at any time
//! models/*.zkm     registered models (seller)
//! deliveries/*     sealed test sets, as they came (seller: by agreement) or went (buyer: by hash); sealed items of
//!                  retrievals (seller: by hash)
//! ```

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;
use thiserror::Error;
use zknode_protocol::value::AgreementId;

use crate::delivery::Part;

/// How the name of a file begins that is not whole.
const HALF: &str = ".half-";
/// Sealed test sets and items.
const DELIVERIES: &str = "deliveries";
/// The home itself, and the folders in it.
const FOLDERS: [&str; 5] = ["", "srs", "keys", "models", DELIVERIES];
/// For how long a file that is not whole is left to who may be writing it.
const LEFT: Duration = Duration::from_secs(86_400);

/// A file of the home folder that cannot be used.
#[derive(Debug, Error)]
pub enum HomeError {
    /// The system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others could read the keys and salts in it.
    #[error("{path} can be read by others on this machine, and keys will lie there: `chmod 700` it first")]
    Exposed {
        /// The folder.
        path: PathBuf,
    },
    /// A file that would be overwritten.
    #[error("{path} exists already; move it away first")]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// Opens the folder, making it where it is missing (mode 0700).
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let home = Self(path.into());
        for folder in FOLDERS {
            let folder = path.join(folder);
            make_private_folder(&folder).map_err(|source| HomeError::Io {
                path: folder.clone(),
                source,
            })?;
        }
        if is_exposed(path) {
            return Err(HomeError::Exposed { path: path.into() });
        }
        Ok(home)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// How to reach the chain.
    pub fn chain(&self) -> PathBuf {
        self.0.join("chain.json")
    }
    /// The encrypted key of the account.
    pub fn account(&self) -> PathBuf {
        self.0.join("account.json")
    }
    /// The key deliveries are sealed to.
    pub fn reading_key(&self) -> PathBuf {
        self.0.join("reading.key")
    }
    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("zknode.redb")
    }
    /// A cached reference string.
    pub fn srs(&self, k: u32) -> PathBuf {
        self.0.join("srs").join(format!("k{k}.srs"))
    }
    /// Cached proving keys.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }
    /// A registered model, named by its commitment's digest.
    pub fn model(&self, name: &str) -> PathBuf {
        self.0.join("models").join(format!("{name}.zkm"))
    }
    /// What was sealed here, named by the hash of its bytes.
    pub fn delivery(&self, name: &str) -> PathBuf {
        self.0.join("deliveries").join(format!("{name}.sealed"))
    }
    /// What came sealed for an agreement: its own file, though others may have been sent the same bytes.
    pub fn received(&self, id: AgreementId, part: Part) -> PathBuf {
        self.delivery(&format!("{id}-{part}"))
    }
    /// Removes what a crash left half written. To be called by who has the database: nobody else writes deliveries; what
    /// others write beside it, such as a reference string, is left to them for a day.
    pub fn sweep(&self) -> Result<(), HomeError> {
        for name in FOLDERS {
            let folder = self.0.join(name);
            let left = if name == DELIVERIES {
                Duration::ZERO
            } else {
                LEFT
            };
            sweep_folder(&folder, left).map_err(|source| HomeError::Io {
                path: folder,
                source,
            })?;
        }
        Ok(())
    }
}

fn sweep_folder(folder: &Path, left: Duration) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        if !file.file_name().to_string_lossy().starts_with(HALF) {
            continue;
        }
        let written = file.metadata()?.modified()?;
        // A clock that was set back makes it young.
        if left.is_zero() || written.elapsed().is_ok_and(|age| age > left) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn make_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|folder| folder.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn make_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// A file in `folder` that is gone when it is not kept under another name. Readable by its owner alone, as is the default.
pub(crate) fn begin_file(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(HALF).tempfile_in(folder)
}

/// Writes a whole file or nothing: beside it first, then renamed over it. Readable by its owner alone.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> Result<(), HomeError> {
    let failed = |source| HomeError::Io {
        path: path.into(),
        source,
    };
    let mut file = begin_file(folder_of(path)).map_err(failed)?;
    write(file.as_file_mut()).map_err(failed)?;
    keep_file(file, path).map_err(failed)
}

/// Keeps a file of [`begin_file`] under its name in the same folder, for good: its bytes, and then that it has this name.
pub(crate) fn keep_file(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// [`write_file`] for bytes at hand.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    write_file(path, |file| file.write_all(bytes))
}

/// [`write_bytes`], refusing to replace what is there.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    if path.exists() {
        return Err(HomeError::Exists { path: path.into() });
    }
    write_bytes(path, bytes)
}

/// Reads a file of at most `limit` bytes.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, HomeError> {
    use std::io::Read;
    let failed = |source| HomeError::Io {
        path: path.into(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = vec![];
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(failed(io::Error::other(format!(
            "expected at most {limit} bytes, found more"
        ))));
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        Home::open(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Home::open(&path), Err(HomeError::Exposed { .. })));
    }

    #[test]
    fn what_is_half_received_is_swept_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let whole = home.delivery("whole");
        write_new(&whole, b"bytes").unwrap();
        let half = begin_file(whole.parent().unwrap()).unwrap();
        let (_, half) = half.keep().unwrap();
        assert!(half.exists());
        home.sweep().unwrap();
        assert!(whole.exists() && !half.exists());
    }

    #[test]
    fn so_is_what_was_half_written_elsewhere_a_day_ago() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let halves = || {
            let in_folder = |name: &&str| {
                let (file, path) = begin_file(&home.path().join(name)).unwrap().keep().unwrap();
                (file, path)
            };
            let others = FOLDERS.iter().filter(|name| **name != DELIVERIES);
            others.map(in_folder).collect::<Vec<_>>()
        };
        let (old, young) = (halves(), halves());
        for (file, _) in &old {
            let then = std::time::SystemTime::now() - 2 * LEFT;
            file.set_modified(then).unwrap();
        }
        home.sweep().unwrap();
        assert!(old.iter().all(|(_, path)| !path.exists()));
        assert!(young.iter().all(|(_, path)| path.exists()));
    }
}
