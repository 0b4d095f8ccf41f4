//! The cache of a prover's keys: reading them takes a tenth of the time that making them does.
//!
//! ```text
//! magic        8 bytes  "zknodepk"
//! version      4        little endian
//! fingerprint  64       BLAKE2b-512 of all the key is made of: gates, fixed cells, copies, reference string
//! key          n        halo2's proving key, unchecked raw format
//! digest       64       BLAKE2b-512 of everything before
//! ```
//!
//! A file is used for exactly the circuit it was made for: the fingerprint is computed anew from the layout, this
//! program's gates and version, and the reference string. halo2 panics where a key is cut short or a length in it is
//! wrong, and checks nothing else in this format; so the digest is compared first, in a pass of its own. It guards against
//! damage, not against who can write the owner's files: with a key that somebody made up under a right digest, proofs are
//! judged by that key. So a buyer, who judges others' proofs, makes its keys and reads no cache.

use crate::{
    attestation::AttestationCircuit,
    gadget::{Columns, Shape},
    layout::Layout,
    prove::{Prover, ProverError},
    srs::Srs,
    transcript::encode_scalar,
};
use blake2b_simd::State;
use halo2_proofs::{
    circuit::{SimpleFloorPlanner, Value},
    plonk::{
        Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error,
        Fixed, FloorPlanner, Instance, ProvingKey, Selector,
    },
    SerdeFormat,
};
use halo2curves::bn256::Fr;
use std::{
    fmt,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    sync::Arc,
};
use thiserror::Error as ThisError;

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"zknodepk";
/// Version of the format.
const VERSION: u32 = 1;
/// Who writes: another release, or another halo2, may lay keys out anew.
const PROGRAM: &[u8] = concat!(env!("CARGO_PKG_VERSION"), " halo2-axiom 0.5.3").as_bytes();
/// Bytes before the key.
const HEADER: u64 = 8 + 4 + 64;
/// Bytes of the digest.
const DIGEST: u64 = 64;
/// Bytes hashed and read at a time.
const BLOCK: usize = 1 << 20;
/// Points are curve elements that this program wrote, scalars its own memory: the digest says so.
const FORMAT: SerdeFormat = SerdeFormat::RawBytesUnchecked;

/// Why cached keys are not used. Making them anew always helps.
#[derive(Debug, ThisError)]
pub enum KeyCacheError {
    /// The system refuses, or the file is cut short.
    #[error("the cached keys cannot be read to their end: {0}")]
    Io(#[from] io::Error),
    /// Another kind of file.
    #[error("this is not a file of cached keys")]
    Magic,
    /// Another version of the format.
    #[error("the cached keys have version {found}, this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Keys of something else.
    #[error("the cached keys are of another circuit or reference string")]
    Fingerprint,
    /// Damaged.
    #[error("the cached keys are damaged: their digest does not match")]
    Digest,
    /// Layout and reference string do not fit.
    #[error(transparent)]
    Prover(#[from] ProverError),
}

/// Names the keys of a layout under a reference string, before they are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 64]);

impl Fingerprint {
    /// Hashes the gates, and every cell and copy that key generation would assign.
    pub fn of(srs: &Srs, layout: &Arc<Layout>) -> Result<Self, ProverError> {
        let mut system = ConstraintSystem::default();
        let columns =
            AttestationCircuit::configure_with_params(&mut system, Shape::from(&**layout));
        let mut state = State::new();
        state.update(PROGRAM);
        state.update(&layout.options().k.to_le_bytes());
        // A state takes all bytes: this cannot fail.
        let _ = srs.params().write_custom(&mut state, FORMAT);
        state.update(format!("{:?}", system.pinned()).as_bytes());
        let mut hashing = Hashing(state);
        assign(&mut hashing, layout, columns).map_err(ProverError::Keys)?;
        Ok(Self(*hashing.0.finalize().as_array()))
    }
}

fn assign(hashing: &mut Hashing, layout: &Arc<Layout>, columns: Columns) -> Result<(), Error> {
    let circuit = AttestationCircuit::blank(layout.clone());
    SimpleFloorPlanner::synthesize(hashing, &circuit, columns, vec![])
}

impl fmt::Display for Fingerprint {
    /// Half of it, which is enough of a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..32]))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl Prover {
    /// Writes the keys. `fingerprint` must be of this prover's layout and reference string.
    pub fn write_keys(&self, fingerprint: &Fingerprint, writer: impl Write) -> io::Result<()> {
        let mut writer = Tee::new(BufWriter::with_capacity(BLOCK, writer));
        writer.write_all(MAGIC)?;
        writer.write_all(&VERSION.to_le_bytes())?;
        writer.write_all(&fingerprint.0)?;
        self.key().write(&mut writer, FORMAT)?;
        writer.finish()
    }

    /// Reads keys that [`Prover::write_keys`] wrote for this layout, reference string and program.
    pub fn read_keys(
        srs: Arc<Srs>,
        layout: Arc<Layout>,
        fingerprint: &Fingerprint,
        mut reader: impl Read + Seek,
    ) -> Result<Self, KeyCacheError> {
        let length = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        let mut reader = BufReader::with_capacity(BLOCK, reader);
        check_header(&mut reader, fingerprint)?;
        reader.rewind()?;
        let body = length
            .checked_sub(DIGEST)
            .filter(|body| *body > HEADER)
            .ok_or(KeyCacheError::Digest)?;
        check_digest(&mut reader, body)?;
        reader.seek(SeekFrom::Start(HEADER))?;
        let mut reader = Patient::new(reader);
        let shape = Shape::from(&*layout);
        let key = ProvingKey::read::<_, AttestationCircuit>(&mut reader, FORMAT, shape)?;
        if let Some(error) = reader.failed {
            return Err(error.into());
        }
        if reader.inner.stream_position()? != body {
            return Err(KeyCacheError::Digest);
        }
        Ok(Self::from_key(srs, layout, key)?)
    }
}

fn check_header(reader: &mut impl Read, expected: &Fingerprint) -> Result<(), KeyCacheError> {
    let mut magic = [0; 8];
    reader.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(KeyCacheError::Magic);
    }
    let mut version = [0; 4];
    reader.read_exact(&mut version)?;
    let found = u32::from_le_bytes(version);
    if found != VERSION {
        return Err(KeyCacheError::Version { found });
    }
    let mut fingerprint = [0; 64];
    reader.read_exact(&mut fingerprint)?;
    match fingerprint == expected.0 {
        true => Ok(()),
        false => Err(KeyCacheError::Fingerprint),
    }
}

fn check_digest(reader: &mut impl Read, body: u64) -> Result<(), KeyCacheError> {
    let (mut state, mut block, mut left) = (State::new(), vec![0; BLOCK], body);
    while left > 0 {
        let length = left.min(BLOCK as u64) as usize;
        reader.read_exact(&mut block[..length])?;
        state.update(&block[..length]);
        left -= length as u64;
    }
    let mut digest = [0; DIGEST as usize];
    reader.read_exact(&mut digest)?;
    match state.finalize().as_array() == &digest {
        true => Ok(()),
        false => Err(KeyCacheError::Digest),
    }
}

/// Hashes what passes. halo2 panics when a write fails: the first failure is kept until the end.
struct Tee<W> {
    inner: W,
    state: State,
    failed: Option<io::Error>,
}

impl<W: Write> Tee<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            state: State::new(),
            failed: None,
        }
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.inner.write_all(self.state.finalize().as_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.state.update(bytes);
            self.failed = self.inner.write_all(bytes).err();
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads zeros after a failure, and keeps it: halo2 panics when a read fails.
struct Patient<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Patient<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            failed: None,
        }
    }
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.inner.read_exact(bytes).err();
        }
        if self.failed.is_some() {
            bytes.fill(0);
        }
        Ok(bytes.len())
    }
}

/// Hashes what a circuit assigns for key generation.
struct Hashing(State);

impl Hashing {
    fn cell(&mut self, column: Column<Any>, row: usize) {
        let kind = match column.column_type() {
            Any::Advice(_) => 0,
            Any::Fixed => 1,
            Any::Instance => 2,
        };
        let mut bytes = [kind; 17];
        bytes[1..9].copy_from_slice(&(column.index() as u64).to_le_bytes());
        bytes[9..].copy_from_slice(&(row as u64).to_le_bytes());
        self.0.update(&bytes);
    }
}

impl Assignment<Fr> for Hashing {
    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn annotate_column<A, AR>(&mut self, _: A, _: Column<Any>)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
    }

    fn exit_region(&mut self) {}

    fn enable_selector<A, AR>(&mut self, _: A, selector: &Selector, row: usize) -> Result<(), Error>
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.0.update(format!("{selector:?}").as_bytes());
        self.0.update(&(row as u64).to_le_bytes());
        Ok(())
    }

    fn query_instance(&self, _: Column<Instance>, _: usize) -> Result<Value<Fr>, Error> {
        Ok(Value::unknown())
    }

    fn assign_advice<'v>(
        &mut self,
        _: Column<Advice>,
        _: usize,
        _: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        Value::unknown()
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, to: Assigned<Fr>) {
        self.cell(column.into(), row);
        self.0.update(&encode_scalar(&to.evaluate()));
    }

    fn copy(
        &mut self,
        left_column: Column<Any>,
        left_row: usize,
        right_column: Column<Any>,
        right_row: usize,
    ) {
        self.0.update(b"copy");
        self.cell(left_column, left_row);
        self.cell(right_column, right_row);
    }

    fn fill_from_row(
        &mut self,
        column: Column<Fixed>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Result<(), Error> {
        self.0.update(b"fill");
        self.cell(column.into(), row);
        to.map(|to| self.0.update(&encode_scalar(&to.evaluate())));
        Ok(())
    }

    fn get_challenge(&self, _: Challenge) -> Value<Fr> {
        Value::unknown()
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn pop_namespace(&mut self, _: Option<String>) {}
}
