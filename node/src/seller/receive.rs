//! A delivery on its way in: its manifest is judged before a byte of the ciphertext is kept, the ciphertext goes to a
//! file piece by piece, and one that is not the manifest's leaves nothing behind.

use std::{io::Write, path::Path, time::Duration};

use axum::body::{Body, Bytes as Piece};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use sha3::{Digest, Keccak256};
use thiserror::Error;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{timeout, Instant},
};
use zknode_protocol::{
    chain::AgreementSummary,
    value::{AgreementId, Bytes, Hash},
};

use super::{
    deliver::Manifest,
    places::{Busy, Room},
};
use crate::{
    card::{manifest_limit, read_manifest},
    delivery::{sealed_length, Part},
    home::{begin_file, keep_file, HomeError},
};

/// Longest time for each [`STRIDE`] and for what comes after the last one: a slower delivery would keep its place from others.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that must come in time; single ones do not prolong a delivery.
const STRIDE: usize = 1 << 20;
/// Longest time for a whole delivery; as long as a buyer tries.
const LONGEST: Duration = Duration::from_secs(3600);

/// A delivery that is not taken.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The connection broke, or too little came for too long.
    #[error("the body ended early: {0}")]
    Broken(String),
    /// Not what was agreed.
    #[error("{0}")]
    Refused(String),
    /// This node's own trouble.
    #[error(transparent)]
    Own(#[from] HomeError),
    /// There is no room for its manifest.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// A body that is read in pieces.
pub struct Incoming {
    body: Body,
    rest: Piece,
    /// For its manifest, which is kept until it is done.
    room: Room,
    held: Option<OwnedSemaphorePermit>,
    begun: Instant,
    /// When the last stride was done, and bytes since.
    stride: (Instant, usize),
    patience: Duration,
}

impl Incoming {
    /// A body of which nothing was read.
    pub fn new(body: Body, room: Room) -> Self {
        let now = Instant::now();
        Self {
            body,
            rest: Piece::new(),
            room,
            held: None,
            begun: now,
            stride: (now, 0),
            patience: PATIENCE,
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
            let left = left.min(self.patience.saturating_sub(self.stride.0.elapsed()));
            let frame = timeout(left, self.body.frame()).await;
            let frame = frame.map_err(|_| {
                let (patience, got) = (self.patience, self.stride.1);
                let words = format!("expected {STRIDE} bytes in {patience:?}, got {got}");
                ReceiveError::Broken(words)
            })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(ReceiveError::Broken(error.to_string())),
                // Trailers are of no interest.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.is_empty() => {}
                    Ok(piece) => {
                        self.moves(piece.len());
                        return Ok(Some(piece));
                    }
                    Err(_) => {}
                },
            }
        }
    }

    fn moves(&mut self, bytes: usize) {
        let (_, moved) = &mut self.stride;
        *moved = moved.saturating_add(bytes);
        if *moved >= STRIDE {
            self.begin_stride();
        }
    }

    fn begin_stride(&mut self) {
        self.stride = (Instant::now(), 0);
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, ReceiveError> {
        let mut bytes = vec![];
        while bytes.len() < length {
            let short = || ReceiveError::Broken("it is shorter than its manifest".into());
            let mut piece = self.piece().await?.ok_or_else(short)?;
            let wanted = piece.len().min(length - bytes.len());
            self.room.grow(&mut self.held, wanted)?;
            bytes.extend_from_slice(&piece.split_to(wanted));
            self.rest = piece;
        }
        Ok(bytes)
    }

    /// Reads the manifest of a part and checks it against the agreement: only who knows the shard commitments passes, so
    /// nobody else can put a false delivery in the way. The preview's is of exactly the drawn shards, each under the agreed
    /// root. `samples` is how many a shard holds at most, `pixels` how many bytes each has.
    pub async fn manifest(
        &mut self,
        part: Part,
        id: AgreementId,
        agreement: &AgreementSummary,
        (samples, pixels): (usize, usize),
    ) -> Result<Manifest, ReceiveError> {
        let terms = &agreement.terms;
        let (shards, samples, paths) = match part {
            // A path besides the points of each.
            Part::Preview => (
                terms.preview_shards,
                terms.preview_shards as usize * samples,
                4,
            ),
            Part::Rest => (terms.shards, terms.samples as usize, 1),
        };
        let shards = shards as usize;
        let limit = manifest_limit(paths * shards);
        let manifest = match part {
            Part::Preview => Manifest::Preview(self.read(limit).await?),
            Part::Rest => Manifest::Rest(self.read(limit).await?),
        };
        let (about, (_, bytes)) = (manifest.agreement(), manifest.ciphertext());
        fits(id, about, bytes, sealed_length(shards, samples, pixels))?;
        let checked = match &manifest {
            Manifest::Preview(preview) => preview.check(terms, agreement.seed),
            Manifest::Rest(rest) => rest.tree(terms).map(drop),
        };
        checked.map_err(|error| ReceiveError::Refused(error.to_string()))?;
        Ok(manifest)
    }

    async fn read<T: DeserializeOwned>(&mut self, limit: usize) -> Result<T, ReceiveError> {
        let length = self.exactly(4).await?;
        let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
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
        // The wait for a place does not count.
        self.begin_stride();
        let mut file = begin_file(folder).map_err(own)?;
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
        keep_file(file, path).map_err(own)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http_body_util::channel::Channel;

    use super::*;

    #[tokio::test]
    async fn a_manifest_without_room_is_not_kept() {
        let room = Room::new(100);
        let incoming = || Incoming::new(Body::from(vec![0; 60]), room.clone());
        let mut one = incoming();
        assert_eq!(one.exactly(60).await.unwrap().len(), 60);
        let refused = incoming().exactly(60).await.unwrap_err();
        assert!(matches!(refused, ReceiveError::Busy(_)), "{refused}");
        drop(one);
        incoming().exactly(60).await.unwrap();
    }

    #[tokio::test]
    async fn single_bytes_do_not_prolong_a_delivery() {
        let (mut sender, body) = Channel::<Piece, std::io::Error>::new(1);
        tokio::spawn(async move {
            while sender.send_data(Piece::from_static(b"a")).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let mut incoming = Incoming::new(Body::new(body), Room::new(0));
        incoming.patience = Duration::from_millis(200);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let received = incoming.ciphertext(Hash::ZERO, 1 << 30, &path);
        let error = timeout(Duration::from_secs(5), received).await.unwrap();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("expected 1048576 bytes in 200ms"), "{error}");
        assert!(!path.exists());
    }
}
