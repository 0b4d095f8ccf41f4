//! What a responder answers strangers with, each answer at a bounded cost.

use std::{
    io::{self, Read},
    path::Path,
};

use axum::body::{Body, Bytes};
use http_body_util::channel::Channel;
use zknode_protocol::retrieval::{corpus::Manifest, RetrievalId};

use crate::claim_trees::ClaimTrees;

/// Bytes of a file that are held for each that reads it.
const PIECE: usize = 1 << 16;

/// What is made once and shown often.
pub struct Desk {
    manifest: Bytes,
    pub(super) trees: ClaimTrees<RetrievalId>,
}

impl Desk {
    /// Over a corpus.
    pub fn new(manifest: &Manifest) -> anyhow::Result<Self> {
        Ok(Self {
            manifest: serde_json::to_vec(manifest)?.into(),
            trees: ClaimTrees::default(),
        })
    }

    /// The manifest as JSON; all that ask share it.
    pub(super) fn manifest(&self) -> Bytes {
        self.manifest.clone()
    }
}

/// A file, sent piece by piece. Cut short where it cannot be read to its end.
pub(super) fn stream(path: &Path) -> io::Result<Body> {
    let mut file = std::fs::File::open(path)?;
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        loop {
            let mut piece = vec![];
            let read = tokio::task::block_in_place(|| {
                (&mut file).take(PIECE as u64).read_to_end(&mut piece)
            });
            match read {
                Ok(0) => return,
                Ok(_) => {
                    if sender.send_data(piece.into()).await.is_err() {
                        // Nobody listens any more.
                        return;
                    }
                }
                Err(error) => return sender.abort(error),
            }
        }
    });
    Ok(Body::new(body))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;
    use zknode_protocol::{
        retrieval::corpus::ManifestVersion,
        value::{Bytes as Fixed, ModelId},
    };

    fn desk() -> Desk {
        let manifest = Manifest {
            version: ManifestVersion,
            model: ModelId(Fixed([1; 32])),
            shard_size: 2,
            apart: Fixed([3; 192]),
            items: vec![Fixed([2; 64]); 3],
        };
        Desk::new(&manifest).unwrap()
    }

    #[test]
    fn all_that_ask_for_the_manifest_share_its_bytes() {
        let desk = desk();
        let (one, other) = (desk.manifest(), desk.manifest());
        assert_eq!(one.as_ptr(), other.as_ptr());
        let read: Manifest = serde_json::from_slice(&one).unwrap();
        assert_eq!(read.items.len(), 3);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_is_sent_whole_and_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items");
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|at| at as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut body = stream(&path).unwrap();
        let mut read = vec![];
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE);
            read.extend_from_slice(&piece);
        }
        assert!(read == bytes);
        assert!(stream(&folder.path().join("nothing")).is_err());
    }
}
