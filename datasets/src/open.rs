//! A path given by a person becomes a dataset: name and content say which reader it is for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::DatasetError;
use crate::limits;
use crate::sample::{Dataset, Shape};
use crate::source::{load, Source};
use crate::{cifar, folder, idx};

const LIST: &str = "labels.csv";

/// What the reader cannot know from the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Number of classes of the model. `None`: what the format fixes, else one more than the largest
    /// label.
    pub classes: Option<usize>,
    /// Shape to which the images of a folder are stretched. `None`: they are taken as they are.
    pub shape: Option<Shape>,
}

/// Opens the dataset at `path`:
///
/// * an IDX file of images (plain or gzipped), its labels beside it under the same name with
///   `labels` for `images` and `idx1` for `idx3`;
/// * a CIFAR binary `*.bin` (or `*.bin.gz`), CIFAR-10 or CIFAR-100 by the length of its records;
/// * a label list `x.csv`, its images in the folder `x` if there is one, else beside it;
/// * a folder with one pair of IDX files (of several, the test split `t10k`), or with images and
///   their `labels.csv`, or with the list beside the folder under its name.
///
/// # Errors
/// [`DatasetError::Unrecognized`] when it is none of these, else whatever its reader reports.
pub fn open(path: &Path, options: &Options) -> Result<Dataset, DatasetError> {
    check_classes(options.classes)?;
    let known = fs::metadata(path).map_err(|source| DatasetError::Io {
        file: path.into(),
        source,
    })?;
    if known.is_dir() {
        return open_folder(path, options);
    }
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"))
    {
        let sibling = path.with_extension("");
        let images = if sibling.is_dir() {
            sibling
        } else {
            path.parent().unwrap_or(Path::new("")).into()
        };
        return folder::read(&images, path, options.shape, options.classes);
    }
    let bytes = load(path, limits::MAX_FILE_BYTES)?;
    let start = Source::new(path, &bytes, "a dataset")?.take(4, "the magic number")?;
    if idx::is_images(&start) {
        let Some(labels) = labels_of(path) else {
            return Err(unrecognized(
                path,
                "IDX images without a file of labels beside them",
            ));
        };
        let label_bytes = load(&labels, limits::MAX_FILE_BYTES)?;
        return idx::parse((path, &bytes), (&labels, &label_bytes), options.classes);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !name.trim_end_matches(".gz").ends_with(".bin") {
        return Err(unrecognized(
            path,
            "neither IDX images nor a name ending in .bin or .csv",
        ));
    }
    open_cifar(path, &bytes, options)
}

/// The length of the unpacked file tells the two kinds of CIFAR apart.
fn open_cifar(path: &Path, bytes: &[u8], options: &Options) -> Result<Dataset, DatasetError> {
    let length = cifar::unpacked_length(path, bytes)?;
    let fits = |kind: cifar::Kind| length % kind.record() as u64 == 0;
    let kind = match (fits(cifar::Kind::Cifar10), fits(cifar::Kind::Cifar100)) {
        (true, true) => {
            return Err(unrecognized(
                path,
                "a length that fits CIFAR-10 and CIFAR-100",
            ))
        }
        (false, true) => cifar::Kind::Cifar100,
        // A length that fits neither is a truncated file, and the reader says where.
        (_, false) => cifar::Kind::Cifar10,
    };
    match options.classes {
        Some(got) if got != kind.classes() => Err(DatasetError::FixedClasses {
            file: path.into(),
            expected: kind.classes(),
            got,
        }),
        _ => cifar::parse(path, bytes, kind),
    }
}

fn open_folder(path: &Path, options: &Options) -> Result<Dataset, DatasetError> {
    let beside = path.file_name().map(|name| {
        let mut list = name.to_owned();
        list.push(".csv");
        path.with_file_name(list)
    });
    for list in [Some(path.join(LIST)), beside].into_iter().flatten() {
        if list.is_file() {
            return folder::read(path, &list, options.shape, options.classes);
        }
    }
    let failed = |source| DatasetError::Io {
        file: path.into(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if labels_of(&file).is_some() {
            found.push(file);
        }
    }
    let split = |name: &PathBuf| name_of(name).starts_with("t10k");
    if found.len() > 1 && found.iter().any(split) {
        found.retain(split);
    }
    match found.as_slice() {
        [images] => open(images, options),
        [] => Err(unrecognized(
            path,
            "a folder without a label list and without IDX files",
        )),
        _ => Err(unrecognized(
            path,
            "a folder with several IDX test sets; name one images file",
        )),
    }
}

/// `x-images-idx3-ubyte` -> `x-labels-idx1-ubyte`, when that file exists.
fn labels_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let (true, true) = (name.contains("images"), name.contains("idx3")) else {
        return None;
    };
    let labels = images.with_file_name(name.replace("images", "labels").replace("idx3", "idx1"));
    labels.is_file().then_some(labels)
}

/// A file's name without the endings a reader knows.
pub(crate) fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let known = [".gz", ".csv", ".bin", "-images-idx3-ubyte"];
    let short = known
        .iter()
        .fold(&*name, |name, end| name.strip_suffix(end).unwrap_or(name));
    short.to_owned()
}

/// Refuses a number of classes that no label can use.
pub(crate) fn check_classes(classes: Option<usize>) -> Result<(), DatasetError> {
    match classes {
        Some(got) if got == 0 || got > limits::MAX_CLASSES => Err(DatasetError::Classes { got }),
        _ => Ok(()),
    }
}

fn unrecognized(file: &Path, found: &str) -> DatasetError {
    DatasetError::Unrecognized {
        file: file.into(),
        found: found.to_owned(),
    }
}
