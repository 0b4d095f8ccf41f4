//! Images out: as PNG files.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};

use crate::{DatasetError, Image};

impl Image {
    /// As a PNG file: colour for three channels, gray for one; any other number of channels stands one below the other.
    pub fn png(&self) -> Result<Vec<u8>, DatasetError> {
        let shape = self.shape();
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (width, height) = (side(shape.width), side(shape.height));
        let picture = if shape.channels == 3 {
            let plane = shape.height.saturating_mul(shape.width);
            let interleaved = (0..plane).flat_map(|at| {
                let planes = [at, at + plane, at + 2 * plane].into_iter();
                planes.filter_map(|at| self.pixels().get(at).copied())
            });
            RgbImage::from_raw(width, height, interleaved.collect()).map(DynamicImage::from)
        } else {
            let height = height.saturating_mul(side(shape.channels));
            GrayImage::from_raw(width, height, self.pixels().to_vec()).map(DynamicImage::from)
        };
        let failed = |reason: String| DatasetError::Encode { shape, reason };
        let picture = picture.ok_or_else(|| failed("a side is zero or too long".into()))?;
        let mut file = Cursor::new(vec![]);
        let written = picture.write_to(&mut file, ImageFormat::Png);
        written.map_err(|error| failed(error.to_string()))?;
        Ok(file.into_inner())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{open, Image, Options, Shape};

    /// What is written is read again by the reader of image folders.
    #[test]
    fn a_written_image_is_read_again() {
        for shape in [Shape::new(1, 2, 3), Shape::new(3, 3, 2)] {
            let pixels: Vec<u8> = (0..shape.bytes()).map(|n| n as u8 * 9).collect();
            let image = Image::new(shape, pixels).unwrap();
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a.png"), image.png().unwrap()).unwrap();
            std::fs::write(folder.path().join("labels.csv"), "a.png,0\n").unwrap();
            let options = Options {
                classes: None,
                shape: None,
            };
            let found = open(folder.path(), &options).unwrap();
            assert!(found.samples()[0].image == image);
        }
    }
}
