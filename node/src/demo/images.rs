//! As many test images as are wanted, even if there are fewer.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{progress::Progress, testset::Source};

/// The test set, if it holds `wanted` images; else a new one in `folder` that repeats them. Repeated images are salted
/// and committed like any others, and proven anew; only what their count says of the model is no more than before.
pub fn test_images(
    dataset: &Path,
    wanted: u32,
    folder: &Path,
    progress: Progress,
) -> anyhow::Result<PathBuf> {
    let source = Source {
        path: dataset.into(),
        from: 0,
        to: None,
        label_offset: 0,
    };
    let samples = source.open(None, None)?.into_samples();
    if samples.len() >= wanted as usize {
        return Ok(dataset.into());
    }
    progress.say(format!(
        "{} holds {} images: they are repeated until there are {wanted}",
        dataset.display(),
        samples.len()
    ));
    let path = folder.join("repeated-images-idx3-ubyte");
    let shape = samples
        .first()
        .context("there are no images")?
        .image
        .shape();
    let side = |length: usize| u32::try_from(length).context("the images are too large");
    anyhow::ensure!(
        shape.channels == 1,
        "only grey images can be repeated; ask for at most {} with --images",
        samples.len()
    );
    let mut images = header(&[wanted, side(shape.height)?, side(shape.width)?]);
    let mut labels = header(&[wanted]);
    for sample in samples.iter().cycle().take(wanted as usize) {
        images.extend(sample.image.pixels());
        labels.push(u8::try_from(sample.label.0).context("a label does not fit a byte")?);
    }
    fs::write(&path, images)?;
    fs::write(folder.join("repeated-labels-idx1-ubyte"), labels)?;
    Ok(path)
}

/// An IDX header: bytes, the number of dimensions, their sizes.
fn header(sizes: &[u32]) -> Vec<u8> {
    let mut header = vec![0, 0, 8, sizes.len() as u8];
    for size in sizes {
        header.extend(size.to_be_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testset::BUNDLED;

    #[test]
    fn images_are_repeated_in_order_with_their_labels() {
        let folder = tempfile::tempdir().unwrap();
        let bundled = Path::new(BUNDLED);
        let enough = test_images(bundled, 256, folder.path(), Progress::new()).unwrap();
        assert_eq!(enough, bundled);
        let more = test_images(bundled, 600, folder.path(), Progress::new()).unwrap();
        let read = |path: &Path, from, to| {
            let source = Source {
                path: path.into(),
                from,
                to: Some(to),
                label_offset: 0,
            };
            source.open(None, None).unwrap().into_samples()
        };
        let (repeated, once) = (read(&more, 0, 600), read(bundled, 0, 256));
        for (index, sample) in repeated.iter().enumerate() {
            let original = &once[index % 256];
            assert_eq!(sample.label, original.label);
            assert_eq!(sample.image.pixels(), original.image.pixels());
        }
    }
}
