//! Images of noise, for a model that is quantized already and comes without images: which values its
//! activations take stands in the file, but what rounding the weights adds to a channel's mean depends
//! on the mean, and blotches of every size give one that is near that of photos.
//!
//! MobileNetV2 on 256 photos: 200 right without such means, 209 with those of noise, 210 with those of
//! 16 photos, 211 in the file's own arithmetic.

use crate::network::Shape;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Images that are made, fewer of large ones.
const COUNT: usize = 16;
/// Cells of all images together.
const CELLS: usize = 1 << 24;
/// Mean of the pixels.
const MEAN: f64 = 120.0;
/// How strong the blotches are that all channels share.
const SHARED: f64 = 90.0;
/// How strong those of one channel are.
const OWN: f64 = 30.0;

/// How many images of a shape are made.
pub(super) fn count(shape: Shape) -> usize {
    (CELLS / shape.cells()).clamp(1, COUNT)
}

/// Images of a shape, pixels channels first; always the same ones.
pub(super) fn images(shape: Shape) -> Vec<Vec<u8>> {
    let image = |seed: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let shared = blotches(shape, &mut rng);
        let channels = (0..shape.channels).flat_map(|_| {
            let own = blotches(shape, &mut rng);
            let both = own.into_iter().zip(&shared);
            let pixel = |(own, shared): (f64, &f64)| (MEAN + SHARED * shared + OWN * own) as u8;
            both.map(pixel).collect::<Vec<_>>()
        });
        channels.collect()
    };
    (0..count(shape)).map(image).collect()
}

/// Value noise: a sum of random lattices, linear in between, each half as fine as the one before and
/// weaker by the root of a half, as the contrast in photos is.
fn blotches(shape: Shape, rng: &mut impl Rng) -> Vec<f64> {
    let side = shape.height.max(shape.width);
    let mut plane = vec![0.0; shape.positions()];
    let mut cell = side;
    while cell > 0 {
        let columns = shape.width / cell + 2;
        let lattice = (shape.height / cell + 2) * columns;
        let lattice: Vec<f64> = (0..lattice).map(|_| rng.gen_range(-1.0..1.0)).collect();
        let strength = (cell as f64 / side as f64).sqrt();
        for (position, value) in plane.iter_mut().enumerate() {
            let (y, x) = (position / shape.width, position % shape.width);
            let corner = y / cell * columns + x / cell;
            let part = |at: usize| (at % cell) as f64 / cell as f64;
            let row = |at: usize| lattice[at] + (lattice[at + 1] - lattice[at]) * part(x);
            let (above, below) = (row(corner), row(corner + columns));
            *value += strength * (above + (below - above) * part(y));
        }
        cell /= 2;
    }
    plane
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_every_shape() {
        for shape in [
            Shape::new(3, 32, 32),
            Shape::new(1, 5, 9),
            Shape::new(7, 1, 1),
        ] {
            let all = images(shape);
            assert_eq!(all, images(shape));
            assert!(all.iter().all(|image| image.len() == shape.cells()));
            let pixels = || all.iter().flatten().map(|&pixel| f64::from(pixel));
            let count = pixels().count() as f64;
            let mean = pixels().sum::<f64>() / count;
            let spread = (pixels().map(|p| (p - mean).powi(2)).sum::<f64>() / count).sqrt();
            assert!((mean - MEAN).abs() < 30.0, "{shape:?}: {mean}");
            assert!((25.0..80.0).contains(&spread), "{shape:?}: {spread}");
        }
    }
}
