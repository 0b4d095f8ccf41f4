//! Poolings, the same for every format.

use super::stack::{kernel_fits, Stack};
use super::ImportError;
use crate::network::{Layer, MaxPool, Padding, Shape, SumPool, TensorId};

/// A window that slides over a tensor.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// Border of the tensor.
    pub padding: Padding,
}

impl Window {
    /// The whole of a tensor.
    pub fn global(shape: Shape) -> Self {
        Self {
            kernel: (shape.height, shape.width),
            stride: (1, 1),
            padding: Padding::default(),
        }
    }

    /// Whether every window is one cell, and every cell a window.
    fn is_identity(&self) -> bool {
        self.kernel == (1, 1) && self.stride == (1, 1) && self.padding == Padding::default()
    }

    /// The border that makes windows reach over the end where rounding up wants them, as long as they
    /// begin before it.
    pub fn rounded_up(mut self, shape: Shape) -> Self {
        let more = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
            let room = (size + before + after).checked_sub(kernel)?;
            let last = room.div_ceil(stride) * stride;
            let last = if last < size + before {
                last
            } else {
                last.checked_sub(stride)?
            };
            Some(after.max((last + kernel).saturating_sub(size + before)))
        };
        let p = &mut self.padding;
        let (kernel, stride) = (self.kernel, self.stride);
        let bottom = more(shape.height, p.top, p.bottom, kernel.0, stride.0);
        let right = more(shape.width, p.left, p.right, kernel.1, stride.1);
        p.bottom = bottom.unwrap_or(p.bottom);
        p.right = right.unwrap_or(p.right);
        self
    }
}

impl Stack {
    /// Adds the mean of every window, which has no border: the network sums and its reader divides.
    pub fn push_average(&mut self, name: &str, input: TensorId, window: Window) -> TensorId {
        if window.is_identity() {
            return input;
        }
        let from = self.shapes[input.0];
        let pool = SumPool {
            name: name.into(),
            input,
            kernel: window.kernel,
            stride: window.stride,
        };
        let height = (from.height - window.kernel.0) / window.stride.0 + 1;
        let width = (from.width - window.kernel.1) / window.stride.1 + 1;
        let shape = Shape::new(from.channels, height, width);
        self.push_view(Layer::SumPool(pool), shape)
    }

    /// Adds the greatest value of every window; `shared` tells whether something else reads `input`, `refused`
    /// makes an error of why a window does not fit.
    pub fn push_max(
        &mut self,
        name: &str,
        input: TensorId,
        shared: bool,
        window: Window,
        refused: impl Fn(&'static str) -> ImportError,
    ) -> Result<TensorId, ImportError> {
        if window.is_identity() {
            return Ok(input);
        }
        let from = self.shapes[input.0];
        if window.kernel == (1, 1) && window.padding == Padding::default() {
            // A choice of cells: a layer that requantizes them, of another stride.
            let id = self.push_identity(name, input, self.bounds(input))?;
            self.stride(id, window, from);
            return Ok(id);
        }
        let pool = MaxPool {
            name: name.into(),
            input,
            kernel: window.kernel,
            stride: window.stride,
            padding: window.padding,
        };
        let term = pool.window();
        let positions = kernel_fits(&term).then(|| term.positions(from)).flatten();
        let (height, width) = positions.ok_or_else(|| {
            refused("the window must fit the padded input and be larger than the border")
        })?;
        let shape = Shape::new(from.channels, height, width);
        let id = self.push_view(Layer::MaxPool(pool), shape);
        self.alone_last(!shared);
        Ok(id)
    }

    /// Gives the layer just added, which reads single cells, the window's stride.
    fn stride(&mut self, id: TensorId, window: Window, from: Shape) {
        let shape = Shape::new(
            from.channels,
            (from.height - 1) / window.stride.0 + 1,
            (from.width - 1) / window.stride.1 + 1,
        );
        self.shapes[id.0] = shape;
        if let Some((linear, _)) = self.linear(id) {
            linear.shape = shape;
            linear
                .terms
                .iter_mut()
                .for_each(|t| t.stride = window.stride);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(size: usize, kernel: usize, stride: usize, (before, after): (usize, usize)) -> usize {
        let window = Window {
            kernel: (kernel, 1),
            stride: (stride, 1),
            padding: Padding {
                top: before,
                bottom: after,
                ..Padding::default()
            },
        };
        window.rounded_up(Shape::new(1, size, 1)).padding.bottom
    }

    #[test]
    fn rounding_up_never_begins_a_window_in_the_border() {
        assert_eq!(after(5, 2, 2, (0, 0)), 1);
        assert_eq!(after(6, 2, 2, (0, 0)), 0);
        assert_eq!(after(7, 3, 2, (1, 1)), 1);
        // The last window would begin at 6, behind the tensor.
        assert_eq!(after(4, 2, 3, (1, 1)), 1);
        assert_eq!(after(112, 3, 2, (0, 0)), 1);
    }
}
