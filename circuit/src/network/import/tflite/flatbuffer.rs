//! A reader of FlatBuffers, the format of TensorFlow Lite files: total, and without copies.
//!
//! All numbers are little endian. A table begins with the distance back to its vtable: a list of
//! 16-bit numbers, its own size and the table's, then the place of each field in the table, 0 where
//! the field is left out. A vector begins with its length; a table, vector or string inside another
//! is a distance forward. (<https://flatbuffers.dev/internals>)

use crate::network::import::ImportError;

/// A table. It borrows the file and is checked when it is read.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    file: &'a [u8],
    at: usize,
    /// Places of the fields, two bytes each.
    fields: &'a [u8],
}

/// A vector whose elements have `SIZE` bytes each.
#[derive(Clone, Copy, Default)]
pub struct Vector<'a, const SIZE: usize> {
    elements: &'a [[u8; SIZE]],
}

impl<'a, const SIZE: usize> Vector<'a, SIZE> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// The elements' bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = [u8; SIZE]> + 'a {
        self.elements.iter().copied()
    }
}

impl<'a> Vector<'a, 1> {
    /// The bytes themselves.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.elements.as_flattened()
    }
}

/// The root table of a file with this identifier.
pub fn root<'a>(file: &'a [u8], identifier: &[u8; 4]) -> Result<Table<'a>, ImportError> {
    if bytes::<4>(file, 4)? != *identifier {
        return Err(refused(4, "the file identifier is another one"));
    }
    table(file, forward(file, 0)?)
}

impl<'a> Table<'a> {
    /// Place of a field in the file, `None` where it is left out.
    fn field(&self, index: usize) -> Result<Option<usize>, ImportError> {
        let Some(place) = self.fields.get(2 * index..2 * index + 2) else {
            return Ok(None);
        };
        match usize::from(u16::from_le_bytes(bytes(place, 0)?)) {
            0 => Ok(None),
            place => add(self.at, place).map(Some),
        }
    }

    fn scalar<const SIZE: usize>(&self, index: usize) -> Result<Option<[u8; SIZE]>, ImportError> {
        let at = self.field(index)?;
        at.map(|at| bytes(self.file, at)).transpose()
    }

    /// A field of one byte, signed.
    pub fn i8(&self, index: usize, default: i8) -> Result<i8, ImportError> {
        Ok(self.scalar(index)?.map_or(default, i8::from_le_bytes))
    }

    /// A field of four bytes, signed.
    pub fn i32(&self, index: usize, default: i32) -> Result<i32, ImportError> {
        Ok(self.scalar(index)?.map_or(default, i32::from_le_bytes))
    }

    /// A field of four bytes, unsigned.
    pub fn u32(&self, index: usize, default: u32) -> Result<u32, ImportError> {
        Ok(self.scalar(index)?.map_or(default, u32::from_le_bytes))
    }

    /// A field of eight bytes, unsigned.
    pub fn u64(&self, index: usize, default: u64) -> Result<u64, ImportError> {
        Ok(self.scalar(index)?.map_or(default, u64::from_le_bytes))
    }

    /// A float field.
    pub fn f32(&self, index: usize, default: f32) -> Result<f32, ImportError> {
        Ok(self.scalar(index)?.map_or(default, f32::from_le_bytes))
    }

    /// A table field.
    pub fn table(&self, index: usize) -> Result<Option<Table<'a>>, ImportError> {
        let at = self.field(index)?;
        at.map(|at| table(self.file, forward(self.file, at)?))
            .transpose()
    }

    /// A vector field of scalars, or the bytes of a string; one that is left out is empty.
    pub fn vector<const SIZE: usize>(&self, index: usize) -> Result<Vector<'a, SIZE>, ImportError> {
        match self.field(index)? {
            Some(at) => vector(self.file, forward(self.file, at)?),
            None => Ok(Vector { elements: &[] }),
        }
    }

    /// A vector field of tables; at most `max` of `what`.
    pub fn tables(
        &self,
        index: usize,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<Table<'a>>, ImportError> {
        let Some(at) = self.field(index)? else {
            return Ok(vec![]);
        };
        let start = forward(self.file, at)?;
        let places: Vector<4> = vector(self.file, start)?;
        if places.len() > max {
            let found = places.len();
            return Err(ImportError::TooLarge { what, found, max });
        }
        let each = (0..places.len()).map(|place| add(start, 4 + 4 * place));
        each.map(|at| table(self.file, forward(self.file, at?)?))
            .collect()
    }
}

fn refused(at: usize, reason: &'static str) -> ImportError {
    ImportError::FlatBuffer { at, reason }
}

fn add(at: usize, distance: usize) -> Result<usize, ImportError> {
    at.checked_add(distance)
        .ok_or_else(|| refused(at, "a distance leaves the file"))
}

/// The bytes from `at` on.
fn rest(file: &[u8], at: usize) -> Result<&[u8], ImportError> {
    file.get(at..)
        .ok_or_else(|| refused(at, "the file ends before this"))
}

fn bytes<const SIZE: usize>(file: &[u8], at: usize) -> Result<[u8; SIZE], ImportError> {
    let first = rest(file, at)?.first_chunk();
    first
        .copied()
        .ok_or_else(|| refused(at, "the file ends here"))
}

/// Where the distance at `at` leads.
fn forward(file: &[u8], at: usize) -> Result<usize, ImportError> {
    add(at, u32::from_le_bytes(bytes(file, at)?) as usize)
}

fn table(file: &[u8], at: usize) -> Result<Table<'_>, ImportError> {
    let back = i64::from(i32::from_le_bytes(bytes(file, at)?));
    let vtable = i64::try_from(at).ok().and_then(|at| at.checked_sub(back));
    let vtable = vtable.and_then(|vtable| usize::try_from(vtable).ok());
    let vtable = vtable.ok_or_else(|| refused(at, "a vtable lies before the file"))?;
    let size = usize::from(u16::from_le_bytes(bytes(file, vtable)?));
    let fields = rest(file, vtable)?.get(4..size);
    Ok(Table {
        file,
        at,
        fields: fields.ok_or_else(|| refused(vtable, "a vtable is cut off"))?,
    })
}

fn vector<const SIZE: usize>(file: &[u8], at: usize) -> Result<Vector<'_, SIZE>, ImportError> {
    let count = u32::from_le_bytes(bytes(file, at)?) as usize;
    let (elements, _) = rest(file, add(at, 4)?)?.as_chunks();
    let elements = elements.get(..count);
    Ok(Vector {
        elements: elements.ok_or_else(|| refused(at, "a vector is longer than the file"))?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A root table with the fields: absent, the byte 7, the string "ok".
    const FILE: [u8; 36] = [
        20, 0, 0, 0, b'T', b'E', b'S', b'T', // root, identifier
        10, 0, 12, 0, 0, 0, 4, 0, 8, 0, 0, 0, // vtable of three fields, padding
        12, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, // the table
        2, 0, 0, 0, // the string's length, without its two bytes
    ];

    fn file() -> Vec<u8> {
        [&FILE[..], b"ok"].concat()
    }

    #[test]
    fn fields_and_defaults() {
        let file = file();
        let table = root(&file, b"TEST").unwrap();
        assert_eq!(table.i32(0, -3).unwrap(), -3);
        assert_eq!(table.i8(1, 0).unwrap(), 7);
        assert_eq!(table.vector(2).unwrap().elements, [*b"o", *b"k"]);
        assert_eq!(table.i32(3, 9).unwrap(), 9, "newer than the file");
        assert_eq!(table.vector::<4>(0).unwrap().len(), 0);
    }

    #[test]
    fn damage_is_refused() {
        let read = |file: &[u8]| {
            let table = root(file, b"TEST")?;
            table.i8(1, 0)?;
            table.vector::<1>(2).map(|string| string.len())
        };
        let file = file();
        assert!(root(&file, b"TFL3").is_err());
        for length in 0..file.len() {
            assert!(read(&file[..length]).is_err(), "{length}");
        }
        for (at, value) in [(0, 200), (23, 0x7f), (20, 255), (8, 3), (28, 255), (32, 3)] {
            let mut wrong = file.clone();
            wrong[at] = value;
            assert!(read(&wrong).is_err(), "{at}");
        }
    }
}
