//! A delivery on its way in: its manifest is judged before a byte of the ciphertext is kept, the ciphertext goes to a
//! file piece by piece, and one that is not the manifest's leaves nothing behind.

use std::{io::Write, path::Path, time::Duration};

use axum::body::{Body, Bytes as Piece};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use sha3::{Digest, Keccak256};
use thiserror::Error;
use tokio::time::{timeout, Instant};
use zknode_protocol::{
    agreement::Terms,
    message::{DeliveryManifest, PreviewManifest},
    value::{AgreementId, Bytes, Hash},
};

use crate::{
    card::{manifest_limit, read_manifest},
    home::HomeError,
};

/// Longest wait for the next piece.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest time for a whole delivery; as long as a buyer tries.
const LONGEST: Duration = Duration::from_secs(3600);

/// A delivery that is not taken.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The connection broke, or nothing came for too long.
    #[error("the body ended early: {0}")]
    Broken(String),
    /// Not what was agreed.
    #[error("{0}")]
    Refused(String),
    /// This node's own trouble.
    #[error(transparent)]
    Own(#[from] HomeError),
}

/// A body that is read in pieces.
pub struct Incoming {
    body: Body,
    rest: Piece,
    begun: Instant,
}

impl Incoming {
    /// A body of which nothing was read.
    pub fn new(body: Body) -> Self {
        Self {
            body,
            rest: Piece::new(),
            begun: Instant::now(),
        }
    }

    /// The next piece, `None` at the end.
    async fn piece(&mut self) -> Result<Option<Piece>, ReceiveError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        loop {
            let left = LONGEST.saturating_sub(self.begun.elapsed());
            if left.is_zero() {
                let words = format!("it has not arrived after {LONGEST:?}");
                return Err(ReceiveError::Broken(words));
            }
            let frame = timeout(PATIENCE, self.body.frame()).await;
            let frame = frame
                .map_err(|_| ReceiveError::Broken(format!("nothing came for {PATIENCE:?}")))?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(ReceiveError::Broken(error.to_string())),
                // Trailers are of no interest.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.is_empty() => {}
                    Ok(piece) => return Ok(Some(piece)),
                    Err(_) => {}
                },
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, ReceiveError> {
        let mut bytes = vec![];
        while bytes.len() < length {
            let short = || ReceiveError::Broken("it is shorter than its manifest".into());
            let mut piece = self.piece().await?.ok_or_else(short)?;
            let wanted = piece.len().min(length - bytes.len());
            bytes.extend_from_slice(&piece.split_to(wanted));
            self.rest = piece;
        }
        Ok(bytes)
    }

    /// Reads the manifest of a whole test set and checks it against the agreement: only who knows all shard commitments
    /// passes, so nobody else can put a false delivery in the way.
    pub async fn manifest(
        &mut self,
        id: AgreementId,
        terms: &Terms,
        longest_ciphertext: usize,
    ) -> Result<DeliveryManifest, ReceiveError> {
        let manifest: DeliveryManifest = self.read(terms.shards as usize).await?;
        fits(
            id,
            manifest.agreement,
            manifest.ciphertext_bytes,
            longest_ciphertext,
        )?;
        let tree = manifest.tree(terms);
        tree.map_err(|error| ReceiveError::Refused(error.to_string()))?;
        Ok(manifest)
    }

    /// The same of a preview: of exactly the drawn shards, each under the agreed root.
    pub async fn preview(
        &mut self,
        id: AgreementId,
        terms: &Terms,
        seed: Hash,
        longest_ciphertext: usize,
    ) -> Result<PreviewManifest, ReceiveError> {
        // A path besides the points of each.
        let manifest: PreviewManifest = self.read(4 * terms.preview_shards as usize).await?;
        fits(
            id,
            manifest.agreement,
            manifest.ciphertext_bytes,
            longest_ciphertext,
        )?;
        let checked = manifest.check(terms, seed);
        checked.map_err(|error| ReceiveError::Refused(error.to_string()))?;
        Ok(manifest)
    }

    async fn read<T: DeserializeOwned>(&mut self, shards: usize) -> Result<T, ReceiveError> {
        let length = self.exactly(4).await?;
        let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
        let limit = manifest_limit(shards);
        if length > limit {
            return Err(ReceiveError::Refused(format!(
                "expected a manifest of at most {limit} bytes, got {length}"
            )));
        }
        read_manifest(&self.exactly(length).await?).map_err(ReceiveError::Refused)
    }

    /// Reads the ciphertext of a manifest into the file `path`, whole or not at all.
    pub async fn ciphertext(
        &mut self,
        expected: Hash,
        bytes: u64,
        path: &Path,
    ) -> Result<(), ReceiveError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let own = |source| {
            ReceiveError::Own(HomeError::Io {
                path: path.into(),
                source,
            })
        };
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(own)?;
        let (mut hasher, mut length) = (Keccak256::new(), 0u64);
        while let Some(piece) = self.piece().await? {
            length += piece.len() as u64;
            if length > bytes {
                break;
            }
            hasher.update(&piece);
            file.write_all(&piece).map_err(own)?;
        }
        let hash: Hash = Bytes(hasher.finalize().into());
        if length != bytes || hash != expected {
            return Err(ReceiveError::Refused(
                "the ciphertext is not the one of the manifest".into(),
            ));
        }
        file.as_file().sync_all().map_err(own)?;
        file.persist(path).map_err(|error| own(error.error))?;
        Ok(())
    }
}

/// Whether a manifest is about the agreement, and its ciphertext no longer than that needs.
fn fits(
    id: AgreementId,
    about: AgreementId,
    bytes: u64,
    longest_ciphertext: usize,
) -> Result<(), ReceiveError> {
    if about != id {
        return Err(ReceiveError::Refused(format!(
            "the manifest is about agreement {about}"
        )));
    }
    if bytes > longest_ciphertext as u64 {
        return Err(ReceiveError::Refused(format!(
            "expected a sealed test set of at most {longest_ciphertext} bytes, got {bytes}"
        )));
    }
    Ok(())
}
