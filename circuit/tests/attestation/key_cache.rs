//! Cached proving keys: used for exactly what they were made for, or not at all.

use crate::support::Case;
use std::{
    io::{self, Cursor, Write},
    sync::{Arc, LazyLock},
};
use zknode_circuit::{
    key_cache::{Fingerprint, KeyCacheError},
    layout::Layout,
    prove::Prover,
};

/// Magic, version, fingerprint.
const HEADER: usize = 8 + 4 + 64;

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = vec![];
    let prover = &Case::get().prover;
    prover
        .write_keys(&fingerprint(prover.layout()), &mut bytes)
        .unwrap();
    bytes
});

fn fingerprint(layout: &Arc<Layout>) -> Fingerprint {
    Fingerprint::of(Case::get().prover.srs(), layout).unwrap()
}

fn read(bytes: &[u8]) -> Result<Prover, KeyCacheError> {
    let prover = &Case::get().prover;
    let (srs, layout) = (prover.srs().clone(), prover.layout().clone());
    let fingerprint = fingerprint(&layout);
    Prover::read_keys(srs, layout, &fingerprint, Cursor::new(bytes))
}

/// Why bytes are refused.
fn refused(bytes: &[u8]) -> KeyCacheError {
    read(bytes).err().unwrap()
}

#[test]
fn what_is_written_is_read() {
    let again = read(&FILE).unwrap();
    let verifier = Case::get().prover.verifier();
    assert_eq!(again.verifier().fingerprint(), verifier.fingerprint());
    let mut bytes = vec![];
    again
        .write_keys(&fingerprint(again.layout()), &mut bytes)
        .unwrap();
    assert!(bytes == *FILE);
}

#[test]
fn damage_anywhere_is_found_before_halo2_reads() {
    let length = FILE.len();
    for at in [
        HEADER,
        HEADER + 1,
        HEADER + 5,
        length / 2,
        length - 65,
        length - 1,
    ] {
        let mut bytes = FILE.clone();
        bytes[at] ^= 1;
        assert!(matches!(refused(&bytes), KeyCacheError::Digest), "{at}");
    }
    for length in [0, 5, HEADER - 1] {
        assert!(
            matches!(refused(&FILE[..length]), KeyCacheError::Io(_)),
            "{length}"
        );
    }
    for length in [HEADER, HEADER + 64, FILE.len() / 3, FILE.len() - 1] {
        assert!(
            matches!(refused(&FILE[..length]), KeyCacheError::Digest),
            "{length}"
        );
    }
    let mut longer = FILE.clone();
    longer.push(0);
    assert!(matches!(refused(&longer), KeyCacheError::Digest));
}

#[test]
fn other_files_are_refused_by_their_header() {
    let mut bytes = FILE.clone();
    bytes[0] ^= 1;
    assert!(matches!(refused(&bytes), KeyCacheError::Magic));
    let mut bytes = FILE.clone();
    bytes[8] += 1;
    assert!(matches!(
        refused(&bytes),
        KeyCacheError::Version { found: 2 }
    ));
    let mut bytes = FILE.clone();
    bytes[12] ^= 1;
    assert!(matches!(refused(&bytes), KeyCacheError::Fingerprint));
}

#[test]
fn another_layout_has_another_fingerprint() {
    let layout = Case::get().prover.layout();
    let mut options = layout.options().clone();
    options.top_k = 1;
    let other = Arc::new(Layout::new(layout.architecture().clone(), options).unwrap());
    assert_ne!(fingerprint(layout), fingerprint(&other));
    assert_eq!(fingerprint(layout), fingerprint(layout));
}

/// halo2 panics where writing fails.
#[test]
fn a_full_disk_is_an_error() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let prover = &Case::get().prover;
    let fingerprint = fingerprint(prover.layout());
    for room in [0, FILE.len() / 2, FILE.len() - 1] {
        let error = prover.write_keys(&fingerprint, Full(room)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
