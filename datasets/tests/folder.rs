//! The image folder reader: pictures as planes, label lists line by line, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::Path;

use image::{GrayImage, ImageFormat, Rgb, RgbImage, RgbaImage};
use tempfile::TempDir;
use zknode_datasets::{folder, limits, Dataset, DatasetError, Shape};

/// A folder with `red.png` (2 rows, 3 columns), `gray.png` (same sides) and `wide.png`.
fn pictures() -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut red = RgbImage::from_pixel(3, 2, Rgb([200, 20, 2]));
    red.put_pixel(2, 1, Rgb([9, 8, 7]));
    red.save(path("red.png")).unwrap();
    GrayImage::from_fn(3, 2, |x, y| [(10 * y + x) as u8].into())
        .save(path("gray.png"))
        .unwrap();
    RgbImage::from_pixel(8, 2, Rgb([200, 20, 2]))
        .save_with_format(path("wide.jpg"), ImageFormat::Jpeg)
        .unwrap();
    folder
}

fn read(
    folder: &Path,
    list: &str,
    target: Option<Shape>,
    classes: Option<usize>,
) -> Result<Dataset, DatasetError> {
    let file = folder.join("labels.csv");
    fs::write(&file, list).unwrap();
    folder::read(folder, &file, target, classes)
}

fn refused(list: &str) -> DatasetError {
    read(pictures().path(), list, None, Some(10)).unwrap_err()
}

#[test]
fn colors_become_planes() {
    let set = read(pictures().path(), "red.png,4\n", None, Some(10)).unwrap();
    assert_eq!(set.shape(), Shape::new(3, 2, 3));
    assert_eq!(set.samples()[0].label.0, 4);
    let planes = [
        [200, 200, 200, 200, 200, 9],
        [20, 20, 20, 20, 20, 8],
        [2, 2, 2, 2, 2, 7],
    ];
    assert_eq!(set.samples()[0].image.pixels(), planes.concat());
}

#[test]
fn gray_stays_one_plane() {
    let set = read(pictures().path(), "gray.png,0", None, None).unwrap();
    assert_eq!(set.shape(), Shape::new(1, 2, 3));
    assert_eq!(set.samples()[0].image.pixels(), [0, 1, 2, 10, 11, 12]);
}

#[test]
fn transparency_is_dropped() {
    let folder = pictures();
    RgbaImage::from_pixel(3, 2, image::Rgba([1, 2, 3, 0]))
        .save(folder.path().join("clear.png"))
        .unwrap();
    let set = read(folder.path(), "clear.png,0", None, None).unwrap();
    assert_eq!(set.shape().channels, 3);
    assert_eq!(set.samples()[0].image.pixels()[0], 1);
}

#[test]
fn a_heading_and_further_fields_are_ignored() {
    let list = "file,class,author\nred.png,4,\"A, B\"\n\nred.png, 5 ,C\n";
    let set = read(pictures().path(), list, None, None).unwrap();
    assert_eq!(set.samples().len(), 2);
    assert_eq!(set.classes(), 6);
}

#[test]
fn a_target_shape_resizes_and_recolors() {
    let list = "red.png,0\ngray.png,1\nwide.jpg,2\n";
    for target in [Shape::new(3, 4, 4), Shape::new(1, 5, 2)] {
        let set = read(pictures().path(), list, Some(target), None).unwrap();
        assert_eq!(set.shape(), target);
        assert_eq!(set.samples().len(), 3);
    }
    let target = Shape::new(3, 2, 3);
    let set = read(pictures().path(), list, Some(target), None).unwrap();
    let wide = set.samples()[2].image.pixels();
    assert!(wide[..6].iter().all(|red| red.abs_diff(200) < 8));
}

#[test]
fn mixed_shapes_are_refused_by_name() {
    let error = refused("red.png,0\nwide.jpg,1\n");
    assert!(
        matches!(&error, DatasetError::ImageShape { file, .. } if file.ends_with("wide.jpg")),
        "{error}"
    );
    let error = refused("red.png,0\ngray.png,1\n");
    assert!(matches!(error, DatasetError::ImageShape { .. }), "{error}");
}

#[test]
fn bad_target_shapes_are_refused() {
    for target in [
        Shape::new(2, 4, 4),
        Shape::new(3, 0, 4),
        Shape::new(1, 4, limits::MAX_SIDE + 1),
    ] {
        let error = read(pictures().path(), "red.png,0", Some(target), None).unwrap_err();
        assert!(matches!(error, DatasetError::TargetShape { .. }), "{error}");
    }
}

#[test]
fn a_bad_line_is_refused_by_number() {
    for (list, bad) in [
        ("red.png\n", 1),
        ("red.png,one\n", 1),
        ("red.png,0\n\ngray.png,one\n", 3),
        ("red.png,0\ngray.png,-1\n", 2),
        ("red.png,0\n,1\n", 2),
        ("red.png,0\ngray.png,99999999999999999999\n", 2),
    ] {
        let error = refused(list);
        assert!(
            matches!(error, DatasetError::ListLine { line, .. } if line == bad),
            "{list:?}: {error}"
        );
    }
    let folder = pictures();
    let list = folder.path().join("labels.csv");
    fs::write(&list, b"red.png,0\n\xff\xfe,1\n").unwrap();
    let error = folder::read(folder.path(), &list, None, None).unwrap_err();
    assert!(
        matches!(error, DatasetError::ListLine { line: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_label_out_of_range_is_refused_by_line() {
    for list in ["red.png,0\nred.png,10\n", "red.png,0\nred.png,65536\n"] {
        let error = refused(list);
        assert!(
            matches!(error, DatasetError::ListLabel { line: 2, .. }),
            "{error}"
        );
    }
    let error = read(pictures().path(), "red.png,65536", None, None).unwrap_err();
    assert!(matches!(error, DatasetError::ListLabel { .. }), "{error}");
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in ["../red.png", "/red.png", "a/../../red.png"] {
        let error = refused(&format!("{name},0\n"));
        assert!(
            matches!(error, DatasetError::ListPath { line: 1, .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn lists_without_samples_are_refused() {
    assert!(matches!(refused(""), DatasetError::EmptyFile { .. }));
    assert!(matches!(refused("\n"), DatasetError::NoSamples { .. }));
    assert!(matches!(
        refused("file,label\n"),
        DatasetError::NoSamples { .. }
    ));
}

#[test]
fn a_missing_image_is_refused_by_name() {
    let error = refused("absent.png,0\n");
    assert!(
        matches!(&error, DatasetError::Io { file, .. } if file.ends_with("absent.png")),
        "{error}"
    );
}

#[test]
fn unreadable_images_are_refused() {
    let folder = pictures();
    let whole = fs::read(folder.path().join("red.png")).unwrap();
    for bytes in [
        &whole[..whole.len() / 2],
        b"not an image",
        b"GIF89a\x01\x00",
    ] {
        fs::write(folder.path().join("bad.png"), bytes).unwrap();
        let error = read(folder.path(), "bad.png,0", None, None).unwrap_err();
        assert!(matches!(error, DatasetError::Decode { .. }), "{error}");
    }
    fs::write(folder.path().join("bad.png"), []).unwrap();
    let error = read(folder.path(), "bad.png,0", None, None).unwrap_err();
    assert!(matches!(error, DatasetError::EmptyFile { .. }), "{error}");
}

/// A PNG that declares its size and has hardly any pixels.
fn png_header(width: u32, height: u32, depth: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let ihdr = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[depth, 2, 0, 0, 0],
    ]
    .concat();
    for (kind, data) in [(b"IHDR", &ihdr[..]), (b"IDAT", &[0x78, 0x9c, 0])] {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}

#[test]
fn images_that_declare_too_much_are_refused_before_allocating() {
    let folder = pictures();
    for (width, height, depth) in [(8193, 1, 8), (1, 8193, 8), (8192, 8192, 16)] {
        let bytes = png_header(width, height, depth);
        fs::write(folder.path().join("huge.png"), bytes).unwrap();
        let error = read(folder.path(), "huge.png,0", None, None).unwrap_err();
        assert!(
            matches!(&error, DatasetError::Decode { reason, .. } if reason.contains("limit") || reason.contains("Limit")),
            "{error}"
        );
    }
}
