//! Max pooling: the one layer besides the linear ones that commits cells.
//!
//! The greatest byte of a window of `k` cells `v_0 .. v_(k-1)`, row by row, is climbed to:
//!
//! ```text
//! m_0 = v_0
//! d_i = relu(v_i - m_(i-1))       committed, clipped like an activation
//! m_i = m_(i-1) + d_i             the output is m_(k-1)
//! ```
//!
//! so that a step is one activation whose accumulator is a difference of bytes, and no table but the
//! clip is needed. A border holds 0, the least byte: it never wins, whatever zero stands for.

use super::{Architecture, ArchitectureError, Layer, Output, Padding, Shape, TensorId, Term};
use serde::{Deserialize, Serialize};

/// Range bits at which every difference of two bytes is in the clip table.
pub(super) const LEAST_RANGE_BITS: u32 = 9;

/// The greatest byte of every window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool {
    /// Name in the source model, for the owner's messages; empty in what is public.
    pub name: String,
    /// The tensor that is read: the image, activations, or what another max pooling makes.
    pub input: TensorId,
    /// Window height and width, more than one cell.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// Border of the input; it holds 0.
    pub padding: Padding,
}

impl MaxPool {
    /// The window as a term reads it.
    pub(super) fn window(&self) -> Term {
        Term {
            input: self.input,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            groups: 1,
        }
    }

    /// Steps to the greatest cell of a window: cells committed for each output.
    pub fn steps(&self) -> usize {
        (self.kernel.0 * self.kernel.1).saturating_sub(1)
    }

    /// Cells of the input that window position `tap` reads, in the output's order; `None` in the border.
    pub(super) fn reads(
        &self,
        tap: usize,
        from: Shape,
        to: Shape,
    ) -> impl Iterator<Item = Option<usize>> + '_ {
        let (ky, kx) = (tap / self.kernel.1, tap % self.kernel.1);
        (0..to.cells()).map(move |cell| {
            let (c, y, x) = (
                cell / to.positions(),
                cell / to.width % to.height,
                cell % to.width,
            );
            let iy = (y * self.stride.0 + ky).wrapping_sub(self.padding.top);
            let ix = (x * self.stride.1 + kx).wrapping_sub(self.padding.left);
            let inside = iy < from.height && ix < from.width;
            inside.then(|| (c * from.height + iy) * from.width + ix)
        })
    }

    /// The differences `v_i - m_(i-1)`, ordered `[i - 1][channel][y][x]`, and the greatest cells.
    pub(super) fn run(&self, from: Shape, to: Shape, cells: &[i64]) -> (Vec<i64>, Vec<i64>) {
        let read = |tap| {
            let reads = self.reads(tap, from, to);
            reads.map(|cell| cell.map_or(0, |cell| cells[cell]))
        };
        let mut greatest: Vec<i64> = read(0).collect();
        let mut differences = Vec::with_capacity(self.steps() * greatest.len());
        for tap in 1..=self.steps() {
            for (greatest, cell) in greatest.iter_mut().zip(read(tap)) {
                differences.push(cell - *greatest);
                *greatest = cell.max(*greatest);
            }
        }
        (differences, greatest)
    }
}

impl Architecture {
    /// Checks what only a max pooling asks for; the window is checked like any other.
    pub(super) fn check_max_pool(
        &self,
        layer: usize,
        pool: &MaxPool,
    ) -> Result<(), ArchitectureError> {
        let bad = |reason| Err(ArchitectureError::BadLayer { layer, reason });
        let bytes = match pool.input.0.checked_sub(1).map(|i| self.layers.get(i)) {
            None => true,
            Some(Some(Layer::Linear(linear))) => linear.output == Output::Activation,
            Some(other) => matches!(other, Some(Layer::MaxPool(_))),
        };
        if !bytes {
            return bad("max pooling needs bytes: the image, activations or another max pooling");
        }
        if pool.kernel.0.saturating_mul(pool.kernel.1) < 2 {
            return bad("a window of max pooling needs at least two cells");
        }
        if pool.padding.value != 0 {
            return bad("the border of max pooling must hold 0, the least byte");
        }
        if self.range_bits < LEAST_RANGE_BITS {
            return Err(ArchitectureError::BadFormat {
                what: "range_bits of a network with max pooling",
                min: LEAST_RANGE_BITS,
                max: 20,
                found: self.range_bits,
            });
        }
        Ok(())
    }

    /// The least range bits this architecture may have, whatever its weights.
    pub(super) fn least_range_bits(&self) -> u32 {
        match self.has_max_pool() {
            true => LEAST_RANGE_BITS,
            false => 2,
        }
    }

    /// Whether a layer is a max pooling.
    pub fn has_max_pool(&self) -> bool {
        let mut layers = self.layers.iter();
        layers.any(|layer| matches!(layer, Layer::MaxPool(_)))
    }
}
