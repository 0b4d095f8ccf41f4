//! Bytes of a file, plain or gzipped, handed out in order and never beyond what the file can hold.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::error::DatasetError;
use crate::limits::DEFLATE_RATIO;
use crate::sample::{Image, Shape};

/// The whole file, when it is a regular one of at most `limit` bytes.
pub(crate) fn load(file: &Path, limit: u64) -> Result<Vec<u8>, DatasetError> {
    let failed = |source| DatasetError::Io {
        file: file.into(),
        source,
    };
    let known = fs::metadata(file).map_err(failed)?;
    if !known.is_file() {
        return Err(DatasetError::NotAFile { file: file.into() });
    }
    let too_large = |bytes| DatasetError::FileTooLarge {
        file: file.into(),
        bytes,
        limit,
    };
    if known.len() > limit {
        return Err(too_large(known.len()));
    }
    let mut bytes = Vec::new();
    // The file may grow between the two calls.
    let opened = fs::File::open(file).map_err(failed)?;
    opened
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// A cursor over the unpacked content of one file.
pub(crate) struct Source<'a> {
    file: &'a Path,
    stream: Stream<'a>,
    offset: u64,
}

enum Stream<'a> {
    Plain(&'a [u8]),
    Gzip {
        unpacked: Box<BufReader<GzDecoder<&'a [u8]>>>,
        /// No more unpacked bytes than this can exist.
        ceiling: u64,
    },
}

impl<'a> Source<'a> {
    /// The content of `file`; gzip is recognized by its magic number.
    pub(crate) fn new(
        file: &'a Path,
        bytes: &'a [u8],
        expected: &'static str,
    ) -> Result<Self, DatasetError> {
        if bytes.is_empty() {
            return Err(DatasetError::EmptyFile {
                file: file.into(),
                expected,
            });
        }
        let stream = if bytes.starts_with(&[0x1f, 0x8b]) {
            Stream::Gzip {
                unpacked: Box::new(BufReader::new(GzDecoder::new(bytes))),
                ceiling: (bytes.len() as u64).saturating_mul(DEFLATE_RATIO),
            }
        } else {
            Stream::Plain(bytes)
        };
        Ok(Self {
            file,
            stream,
            offset: 0,
        })
    }

    /// Refuses a declared number of further bytes that the file cannot hold, before any of them is
    /// allocated.
    pub(crate) fn expect(&self, count: usize, part: &'static str) -> Result<(), DatasetError> {
        let count = count as u64;
        match &self.stream {
            Stream::Plain(rest) if count > rest.len() as u64 => {
                let left = rest.len() as u64;
                Err(self.truncated(self.offset + left, count - left, part))
            }
            Stream::Gzip { ceiling, .. } if self.offset.saturating_add(count) > *ceiling => {
                Err(DatasetError::Overdeclared {
                    file: self.file.into(),
                    offset: self.offset,
                    declared: count,
                    ceiling: *ceiling,
                })
            }
            _ => Ok(()),
        }
    }

    /// The next `count` bytes, called `part` if they are missing.
    pub(crate) fn take(
        &mut self,
        count: usize,
        part: &'static str,
    ) -> Result<Vec<u8>, DatasetError> {
        self.expect(count, part)?;
        let mut bytes = Vec::new();
        let read = match &mut self.stream {
            Stream::Plain(rest) => rest.take(count as u64).read_to_end(&mut bytes),
            Stream::Gzip { unpacked, .. } => unpacked.take(count as u64).read_to_end(&mut bytes),
        };
        self.offset += bytes.len() as u64;
        match read {
            Err(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(source))
            }
            _ if bytes.len() < count => {
                Err(self.truncated(self.offset, (count - bytes.len()) as u64, part))
            }
            _ => Ok(bytes),
        }
    }

    /// The next byte.
    pub(crate) fn byte(&mut self, part: &'static str) -> Result<u8, DatasetError> {
        Ok(self.take(1, part)?.into_iter().fold(0, |_, byte| byte))
    }

    /// The next big-endian word.
    pub(crate) fn word(&mut self, part: &'static str) -> Result<u32, DatasetError> {
        let bytes = self.take(4, part)?.into_iter();
        Ok(bytes.fold(0, |word, byte| word << 8 | u32::from(byte)))
    }

    /// The next bytes as an image.
    pub(crate) fn image(
        &mut self,
        shape: Shape,
        part: &'static str,
    ) -> Result<Image, DatasetError> {
        let pixels = self.take(shape.bytes(), part)?;
        // `take` gives what was asked for; the error keeps this total.
        Image::new(shape, pixels).ok_or_else(|| self.truncated(self.offset, 0, part))
    }

    /// True when every unpacked byte was taken.
    pub(crate) fn is_over(&mut self) -> Result<bool, DatasetError> {
        let over = match &mut self.stream {
            Stream::Plain(rest) => Ok(rest.is_empty()),
            Stream::Gzip { unpacked, .. } => unpacked.fill_buf().map(<[u8]>::is_empty),
        };
        over.map_err(|source| self.damaged(source))
    }

    /// How many unpacked bytes are left, at most `limit`, counted without keeping them.
    pub(crate) fn length(self, limit: u64) -> Result<u64, DatasetError> {
        let counted = match self.stream {
            Stream::Plain(rest) => Ok(rest.len() as u64),
            Stream::Gzip { unpacked, .. } => {
                io::copy(&mut unpacked.take(limit.saturating_add(1)), &mut io::sink())
            }
        };
        let file = self.file.into();
        match counted {
            Ok(bytes) if bytes > limit => Err(DatasetError::FileTooLarge { file, bytes, limit }),
            Ok(bytes) => Ok(bytes),
            Err(source) => Err(DatasetError::Gzip {
                file,
                offset: self.offset,
                source,
            }),
        }
    }

    /// Refuses whatever comes after the declared content, unpacked or behind the gzip stream.
    pub(crate) fn end(mut self) -> Result<(), DatasetError> {
        let inside = match (self.is_over()?, &self.stream) {
            (false, Stream::Plain(_)) => "",
            (false, Stream::Gzip { .. }) => " in the unpacked data",
            (true, Stream::Gzip { unpacked, .. }) if !unpacked.get_ref().get_ref().is_empty() => {
                " behind the gzip stream"
            }
            (true, _) => return Ok(()),
        };
        Err(DatasetError::TrailingBytes {
            file: self.file.into(),
            offset: self.offset,
            inside,
        })
    }

    /// Where the next byte stands.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    fn damaged(&self, source: io::Error) -> DatasetError {
        DatasetError::Gzip {
            file: self.file.into(),
            offset: self.offset,
            source,
        }
    }

    fn truncated(&self, offset: u64, missing: u64, part: &'static str) -> DatasetError {
        DatasetError::Truncated {
            file: self.file.into(),
            offset,
            missing,
            part,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::io::Write;

    use flate2::{write::GzEncoder, Compression};

    use super::*;

    #[test]
    fn counting_stops_at_the_limit() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&[0; 100_000]).unwrap();
        let packed = encoder.finish().unwrap();
        let length = |limit| {
            Source::new(Path::new("bomb"), &packed, "")
                .unwrap()
                .length(limit)
        };
        assert_eq!(length(100_000).unwrap(), 100_000);
        assert!(matches!(
            length(99_999),
            Err(DatasetError::FileTooLarge { .. })
        ));
    }
}
