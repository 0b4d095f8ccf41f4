//! A folder of PNG and JPEG images and a list of their labels.
//!
//! The list is CSV: the first field names an image file below the folder, the second is its class,
//! counted from 0; further fields are ignored, and so is a first line that is a heading.
//! Pixels become 8-bit gray or red, green, blue; transparency is dropped, and a rotation noted in EXIF
//! is not applied.

use std::path::{Component, Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};

use crate::error::DatasetError;
use crate::limits;
use crate::open::{check_classes, name_of};
use crate::sample::{check_declared, Dataset, Image, Label, Sample, Shape};
use crate::source::load;

/// One line of a label list.
struct Entry {
    line: u64,
    image: PathBuf,
    label: u64,
}

/// Reads the images that `list` names in `folder`, in the order of the list.
///
/// With a `target` every image is stretched to that shape (bilinear; the aspect is not kept) and turned
/// to gray or color as its channels say. Without one, all must have the shape of the first.
/// `classes` is the number of classes; `None` means one more than the largest label.
///
/// # Errors
/// A bad line of the list (with its number), or an unreadable, oversized or misshapen image; see
/// [`DatasetError`].
pub fn read(
    folder: &Path,
    list: &Path,
    target: Option<Shape>,
    classes: Option<usize>,
) -> Result<Dataset, DatasetError> {
    check_classes(classes)?;
    if let Some(got) = target {
        let sides = 1..=limits::MAX_SIDE;
        let allowed = matches!(got.channels, 1 | 3);
        if !allowed || !sides.contains(&got.height) || !sides.contains(&got.width) {
            return Err(DatasetError::TargetShape {
                got,
                limit: limits::MAX_SIDE,
            });
        }
    }
    let entries = parse_list(list, &load(list, limits::MAX_LIST_BYTES)?)?;
    let mut shape = target;
    let mut samples = Vec::new();
    for entry in &entries {
        let label = label_of(list, entry, classes)?;
        let file = folder.join(&entry.image);
        let decoded = decode(&file, &load(&file, limits::MAX_FILE_BYTES)?)?;
        let found = shape_of(&decoded);
        let shape = *shape.get_or_insert(found);
        check_declared(list, 0, entries.len(), shape)?;
        if target.is_none() && found != shape {
            return Err(DatasetError::ImageShape {
                file,
                expected: shape,
                got: found,
            });
        }
        let image = planes(&fit(decoded, shape), shape).ok_or(DatasetError::ImageShape {
            file,
            expected: shape,
            got: found,
        })?;
        samples.push(Sample { image, label });
    }
    Dataset::new(name_of(list), classes, samples)
}

/// The lines of a label list that is in memory, heading and blank lines left out.
fn parse_list(list: &Path, bytes: &[u8]) -> Result<Vec<Entry>, DatasetError> {
    if bytes.is_empty() {
        return Err(DatasetError::EmptyFile {
            file: list.into(),
            expected: "lines of `image file,class number`",
        });
    }
    let mut entries = Vec::new();
    for (line, content) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if content.trim_ascii().is_empty() {
            continue;
        }
        if let Some((image, label)) = parse_line(list, line, content)? {
            entries.push(Entry { line, image, label });
        }
    }
    if entries.is_empty() {
        return Err(DatasetError::NoSamples { file: list.into() });
    }
    Ok(entries)
}

/// Image and label of one line; `None` for a heading.
fn parse_line(
    list: &Path,
    line: u64,
    content: &[u8],
) -> Result<Option<(PathBuf, u64)>, DatasetError> {
    let bad = |problem: &'static str| DatasetError::ListLine {
        file: list.into(),
        line,
        problem,
    };
    let record = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(content)
        .into_records()
        .next();
    let Some(Ok(record)) = record else {
        return Err(bad("the line is not UTF-8 text"));
    };
    let (Some(name), Some(class)) = (record.get(0), record.get(1)) else {
        return Err(bad("the line has fewer than two fields"));
    };
    let Ok(label) = class.parse() else {
        if line == 1 && !is_image(Path::new(name)) {
            return Ok(None);
        }
        return Err(bad("the second field is not a number"));
    };
    if name.is_empty() {
        return Err(bad("the first field is empty"));
    }
    let image = PathBuf::from(name);
    if !image
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return Err(DatasetError::ListPath {
            file: list.into(),
            line,
        });
    }
    Ok(Some((image, label)))
}

fn label_of(list: &Path, entry: &Entry, classes: Option<usize>) -> Result<Label, DatasetError> {
    let classes = classes.unwrap_or(limits::MAX_CLASSES);
    match u16::try_from(entry.label) {
        Ok(label) if usize::from(label) < classes => Ok(Label(label)),
        _ => Err(DatasetError::ListLabel {
            file: list.into(),
            line: entry.line,
            label: entry.label,
            classes,
        }),
    }
}

fn is_image(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or("");
    ["png", "jpg", "jpeg"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// The picture in `bytes`, whose declared size is checked before its pixels are allocated.
fn decode(file: &Path, bytes: &[u8]) -> Result<DynamicImage, DatasetError> {
    if bytes.is_empty() {
        return Err(DatasetError::EmptyFile {
            file: file.into(),
            expected: "a PNG or JPEG image",
        });
    }
    let failed = |reason: String| DatasetError::Decode {
        file: file.into(),
        reason,
    };
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| failed(e.to_string()))?;
    let mut bounds = Limits::default();
    bounds.max_image_width = Some(limits::MAX_SIDE as u32);
    bounds.max_image_height = Some(limits::MAX_SIDE as u32);
    bounds.max_alloc = Some(limits::MAX_DECODER_BYTES);
    reader.limits(bounds);
    reader.decode().map_err(|e| failed(e.to_string()))
}

fn shape_of(decoded: &DynamicImage) -> Shape {
    let channels = if decoded.color().has_color() { 3 } else { 1 };
    Shape::new(
        channels,
        decoded.height() as usize,
        decoded.width() as usize,
    )
}

/// The picture with the sides of `shape`.
fn fit(decoded: DynamicImage, shape: Shape) -> DynamicImage {
    if (decoded.height() as usize, decoded.width() as usize) == (shape.height, shape.width) {
        return decoded;
    }
    // The sides are at most MAX_SIDE, so the casts keep their values.
    decoded.resize_exact(
        shape.width as u32,
        shape.height as u32,
        FilterType::Triangle,
    )
}

/// The pixels in planes: all of the first channel, then the next.
fn planes(decoded: &DynamicImage, shape: Shape) -> Option<Image> {
    let pixels = if shape.channels == 1 {
        decoded.to_luma8().into_raw()
    } else {
        let interleaved = decoded.to_rgb8().into_raw();
        let plane = |c| interleaved.iter().skip(c).step_by(3).copied();
        (0..3).flat_map(plane).collect()
    };
    Image::new(shape, pixels)
}
