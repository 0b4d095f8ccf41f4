//! The cache format: a string as it is in memory, so that reading it costs little more than the disk does.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | magic `zknodSRS` |
//! | 4 | version, little-endian: 1 |
//! | 24 | provenance, in words: `INSECURE development SRS` or `powers-of-tau ceremony..` |
//! | 64 | digest of the ceremony file (zero for development) |
//! | 4 | k, little-endian |
//! | 64 * 2^k | monomial basis, Montgomery form |
//! | 64 * 2^k | Lagrange basis |
//! | 128 | generator of G2 |
//! | 128 | tau times the generator of G2 |
//! | 64 | BLAKE2b-512 of everything before |
//!
//! From k to the last point it is what halo2's `ParamsKZG::write_custom` writes in a raw format. The digest comes last
//! so that the file is written in one pass.

use std::io::{self, BufWriter, Read, Write};

use blake2b_simd::State;
use halo2_proofs::SerdeFormat;
use halo2curves::bn256::G2Affine;

use super::points::{append_g1, parse_g2, G1_BYTES, G2_BYTES};
use super::{check_k, FileDigest, Provenance, Srs, SrsError};

const MAGIC: &[u8; 8] = b"zknodSRS";
const VERSION: u32 = 1;
const DEVELOPMENT: &[u8; 24] = b"INSECURE development SRS";
const CEREMONY: &[u8; 24] = b"powers-of-tau ceremony..";
/// Bytes before the points.
const HEADER: u64 = 8 + 4 + 24 + 64 + 4;
/// Points read, hashed and parsed at a time (4 MiB): memory follows the bytes that arrive, not what a header announces.
const BLOCK: usize = 1 << 16;

/// Writes a string; see [`Srs::write`].
pub(super) fn write(srs: &Srs, writer: impl Write) -> Result<(), SrsError> {
    let mut writer = BufWriter::with_capacity(1 << 20, Hashing::new(writer));
    let (label, digest) = match srs.provenance() {
        Provenance::Development => (DEVELOPMENT, [0; 64]),
        Provenance::Ceremony { digest } => (CEREMONY, *digest.as_bytes()),
    };
    writer.write_all(MAGIC)?;
    writer.write_all(&VERSION.to_le_bytes())?;
    writer.write_all(label)?;
    writer.write_all(&digest)?;
    srs.params()
        .write_custom(&mut writer, SerdeFormat::RawBytesUnchecked)?;
    let Hashing {
        mut inner, state, ..
    } = writer.into_inner().map_err(|e| e.into_error())?;
    inner.write_all(state.finalize().as_bytes())?;
    inner.flush()?;
    Ok(())
}

/// Reads a string; see [`Srs::read`].
pub(super) fn read(reader: impl Read, progress: &impl Fn(u64, u64)) -> Result<Srs, SrsError> {
    let mut reader = Hashing::new(reader);
    let magic = reader.array("the magic")?;
    if &magic != MAGIC {
        return Err(SrsError::NotCache { got: magic });
    }
    let version = u32::from_le_bytes(reader.array("the version")?);
    if version != VERSION {
        return Err(SrsError::CacheVersion {
            expected: VERSION,
            got: version,
        });
    }
    let label: [u8; 24] = reader.array("the provenance")?;
    let digest: [u8; 64] = reader.array("the ceremony's digest")?;
    let provenance = match &label {
        DEVELOPMENT if digest == [0; 64] => Provenance::Development,
        CEREMONY => Provenance::Ceremony {
            digest: FileDigest::new(digest),
        },
        _ => return Err(SrsError::CacheProvenance),
    };
    let k = u32::from_le_bytes(reader.array("k")?);
    check_k(k)?;
    let n = 1usize << k;
    let end = HEADER + (2 * G1_BYTES as u64) * n as u64 + 2 * G2_BYTES as u64 + 64;

    let mut basis = |what| {
        let mut points = Vec::new();
        let mut block = Vec::new();
        while points.len() < n {
            block.resize(BLOCK.min(n - points.len()) * G1_BYTES, 0);
            reader.fill(&mut block, what)?;
            append_g1(&mut points, &block, what)?;
            progress(reader.position, end);
        }
        Ok::<_, SrsError>(points)
    };
    let g = basis("the monomial basis")?;
    let g_lagrange = basis("the Lagrange basis")?;
    let mut point = |index| {
        let bytes: [u8; G2_BYTES] = reader.array("the points of G2")?;
        parse_g2(&bytes, "the points of G2", index)
    };
    let (g2, s_g2) = (point(0)?, point(1)?);
    let content = reader.state.finalize();
    let digest: [u8; 64] = reader.array("the digest")?;
    if content.as_bytes() != digest {
        return Err(SrsError::CacheDamaged);
    }
    if reader.inner.read(&mut [0])? != 0 {
        return Err(SrsError::TrailingBytes { end });
    }
    if g2 != G2Affine::generator() {
        return Err(SrsError::WrongGenerator { group: "G2" });
    }
    progress(end, end);
    Srs::from_bases(k, g, g_lagrange, s_g2, provenance)
}

/// A reader or writer that hashes and counts what passes through it.
struct Hashing<T> {
    inner: T,
    state: State,
    position: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            state: State::new(),
            position: 0,
        }
    }
}

impl<R: Read> Hashing<R> {
    /// Fills `bytes`, or says that the file is cut inside `what`.
    fn fill(&mut self, bytes: &mut [u8], what: &'static str) -> Result<(), SrsError> {
        let needed = self.position + bytes.len() as u64;
        let mut rest = &mut *bytes;
        while !rest.is_empty() {
            match self.inner.read(rest) {
                Ok(0) => {
                    let got = needed - rest.len() as u64;
                    return Err(SrsError::Truncated { what, needed, got });
                }
                Ok(read) => rest = rest.get_mut(read..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.state.update(bytes);
        self.position = needed;
        Ok(())
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], SrsError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.state.update(bytes.get(..written).unwrap_or_default());
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
