//! TensorFlow Lite's operators as its documentation has them, channels last, one cell after the other:
//! what the import is compared with.

/// Cells `[height][width][channels]`.
#[derive(Clone)]
pub struct Cells {
    pub size: [usize; 3],
    pub values: Vec<f64>,
}

impl Cells {
    pub fn at(&self, y: usize, x: usize, c: usize) -> f64 {
        self.values[(y * self.size[1] + x) * self.size[2] + c]
    }

    /// Pixels channels first, scaled.
    pub fn image(size: [usize; 3], pixels: &[u8], scale: f64, zero_point: f64) -> Self {
        make(size, |y, x, c| {
            let pixel = pixels[(c * size[0] + y) * size[1] + x];
            (f64::from(pixel) - zero_point) * scale
        })
    }

    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|&v| change(v)).collect();
        Self { values, ..*self }
    }

    /// Rounded to signed bytes of a scale.
    pub fn rounded(&self, scale: f32, zero_point: i64) -> Self {
        let (scale, zero) = (f64::from(scale), zero_point as f64);
        self.map(|v| (((v / scale).round() + zero).clamp(-128.0, 127.0) - zero) * scale)
    }

    pub fn plus(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a + b);
        Self {
            values: values.collect(),
            ..*self
        }
    }

    /// A border of zeros: top, bottom, left, right.
    pub fn padded(&self, [top, bottom, left, right]: [usize; 4]) -> Self {
        let [height, width, channels] = self.size;
        let size = [height + top + bottom, width + left + right, channels];
        make(size, |y, x, c| {
            let inside = (top..top + height).contains(&y) && (left..left + width).contains(&x);
            if inside {
                self.at(y - top, x - left, c)
            } else {
                0.0
            }
        })
    }

    /// The border with which `ceil(size / stride)` windows fit, the smaller half first.
    pub fn same(&self, kernel: usize, stride: usize) -> Self {
        let side = |size: usize| {
            let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
            [total / 2, total - total / 2]
        };
        let ([top, bottom], [left, right]) = (side(self.size[0]), side(self.size[1]));
        self.padded([top, bottom, left, right])
    }

    /// Weights `[outputs][kernel][kernel][inputs]`, no border.
    pub fn conv(&self, weights: &[f64], bias: &[f64], kernel: usize, stride: usize) -> Self {
        let [height, width, channels] = self.size;
        let outputs = bias.len();
        let inputs = weights.len() / outputs / kernel / kernel;
        let per_group = outputs / (channels / inputs);
        let span = |side: usize| (side - kernel) / stride + 1;
        make([span(height), span(width), outputs], |y, x, o| {
            let mut sum = bias[o];
            for (ky, kx, i) in grid([kernel, kernel, inputs]) {
                let weight = weights[((o * kernel + ky) * kernel + kx) * inputs + i];
                let channel = o / per_group * inputs + i;
                sum += weight * self.at(y * stride + ky, x * stride + kx, channel);
            }
            sum
        })
    }

    /// Weights `[kernel][kernel][channels * multiplier]`, no border.
    pub fn depthwise(&self, weights: &[f64], bias: &[f64], kernel: usize, stride: usize) -> Self {
        let [height, width, channels] = self.size;
        let multiplier = bias.len() / channels;
        let span = |side: usize| (side - kernel) / stride + 1;
        make([span(height), span(width), bias.len()], |y, x, o| {
            let taps = grid([kernel, kernel, 1]).map(|(ky, kx, _)| {
                let weight = weights[(ky * kernel + kx) * bias.len() + o];
                weight * self.at(y * stride + ky, x * stride + kx, o / multiplier)
            });
            bias[o] + taps.sum::<f64>()
        })
    }

    /// The greatest of every window, with the border of [`Cells::same`], which never wins.
    pub fn greatest(&self, kernel: usize, stride: usize) -> Self {
        let [height, width, channels] = self.size;
        let before =
            |size: usize| ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size) / 2;
        let (top, left) = (before(height), before(width));
        let size = [height.div_ceil(stride), width.div_ceil(stride), channels];
        make(size, |y, x, c| {
            let window = grid([kernel, kernel, 1]).filter_map(|(dy, dx, _)| {
                let iy = (y * stride + dy).checked_sub(top)?;
                let ix = (x * stride + dx).checked_sub(left)?;
                (iy < height && ix < width).then(|| self.at(iy, ix, c))
            });
            window.fold(f64::NEG_INFINITY, f64::max)
        })
    }

    /// The channels of both.
    pub fn beside(&self, other: &Self) -> Self {
        let [height, width, channels] = self.size;
        make(
            [height, width, channels + other.size[2]],
            |y, x, c| match c.checked_sub(channels) {
                None => self.at(y, x, c),
                Some(c) => other.at(y, x, c),
            },
        )
    }

    /// The mean of every window, no border.
    pub fn mean(&self, kernel: usize, stride: usize) -> Self {
        let [height, width, channels] = self.size;
        let span = |side: usize| (side - kernel) / stride + 1;
        make([span(height), span(width), channels], |y, x, c| {
            let window = grid([kernel, kernel, 1]);
            let cells = window.map(|(dy, dx, _)| self.at(y * stride + dy, x * stride + dx, c));
            cells.sum::<f64>() / (kernel * kernel) as f64
        })
    }

    /// Weights `[outputs][inputs]` on the cells as they lie.
    pub fn dense(&self, weights: &[f64], bias: &[f64]) -> Self {
        let rows = weights.chunks_exact(self.values.len());
        let values = rows.zip(bias).map(|(row, bias)| {
            bias + row
                .iter()
                .zip(&self.values)
                .map(|(w, v)| w * v)
                .sum::<f64>()
        });
        Self {
            size: [1, 1, bias.len()],
            values: values.collect(),
        }
    }
}

fn make(size: [usize; 3], cell: impl Fn(usize, usize, usize) -> f64) -> Cells {
    let values = grid(size).map(|(y, x, c)| cell(y, x, c)).collect();
    Cells { size, values }
}

fn grid([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |i| (i / c / b, i / c % b, i % c))
}
