//! The rules an architecture obeys, and the shapes of its tensors.

use super::{
    Architecture, ArchitectureError, Layer, Linear, Output, Padding, Shape, TensorId, Term,
};

/// Cells of one sample's largest tensor that are accepted.
pub(super) const MAX_CELLS: usize = 1 << 26;
/// Cells of all tensors of one sample, those between the steps of a max pooling included: a run keeps them. Layouts
/// commit up to 2^22 rows x 32 lanes of them, the others are views.
const MAX_ALL_CELLS: usize = 1 << 28;
/// Weights and biases of a network that are accepted: a circuit holds at most 16 columns x 2^22 rows.
pub(super) const MAX_WEIGHTS: usize = 1 << 26;
/// The greatest activation or pixel.
const BYTE: usize = 255;
/// Sum of a pooling window, over all poolings that follow each other, that is accepted: so that accumulators of
/// weights below 2^40 can be bounded.
const MAX_SUM: usize = 1 << 40;
/// Layers that are accepted: claims of views are followed from layer to layer.
const MAX_LAYERS: usize = 1 << 10;

impl Architecture {
    /// Shapes of all tensors, input first; checks every rule on the way.
    pub fn shapes(&self) -> Result<Vec<Shape>, ArchitectureError> {
        check_format("fraction_bits", self.fraction_bits, 4, 8)?;
        check_format("range_bits", self.range_bits, 2, 20)?;
        check_most("the number of layers", self.layers.len(), MAX_LAYERS)?;
        let mut shapes = vec![check_size(self.input)?];
        // The greatest cell of each tensor.
        let mut sums = vec![BYTE];
        let (mut cells, mut weights) = (self.input.cells(), 0usize);
        for (index, layer) in self.layers.iter().enumerate() {
            let mut greatest = BYTE;
            let input = |id: TensorId| {
                shapes
                    .get(id.0)
                    .copied()
                    .ok_or(ArchitectureError::UnknownTensor {
                        layer: index,
                        tensor: id.0,
                    })
            };
            let shape = match layer {
                Layer::Linear(linear) => {
                    let shape = linear_shape(index, linear, &input)?;
                    let own = linear_weights(linear, &input)?;
                    weights = weights.saturating_add(own);
                    check_most("the number of weights and biases", weights, MAX_WEIGHTS)?;
                    shape
                }
                Layer::SumPool(pool) => {
                    let shape = input(pool.input)?;
                    let window = Term {
                        input: pool.input,
                        kernel: pool.kernel,
                        stride: pool.stride,
                        padding: Padding::default(),
                        groups: 1,
                    };
                    let (height, width) = window_positions(index, &window, shape)?;
                    greatest = sums[pool.input.0].saturating_mul(pool.kernel.0 * pool.kernel.1);
                    check_most("the sum of a pooling window", greatest, MAX_SUM)?;
                    Shape::new(shape.channels, height, width)
                }
                Layer::MaxPool(pool) => {
                    let shape = input(pool.input)?;
                    self.check_max_pool(index, pool)?;
                    let (height, width) = window_positions(index, &pool.window(), shape)?;
                    let area = pool.kernel.0.saturating_mul(pool.kernel.1);
                    let steps = Shape::new(
                        shape.channels.saturating_mul(area.saturating_sub(1)),
                        height,
                        width,
                    );
                    cells = cells.saturating_add(check_size(steps)?.cells());
                    Shape::new(shape.channels, height, width)
                }
                Layer::Flatten { input: id } => {
                    let shape = input(*id)?;
                    greatest = sums[id.0];
                    Shape::new(shape.cells(), 1, 1)
                }
            };
            sums.push(greatest);
            shapes.push(check_size(shape)?);
            cells = cells.saturating_add(shape.cells());
            check_most("the number of cells of all tensors", cells, MAX_ALL_CELLS)?;
        }
        self.check_logits(&shapes)?;
        Ok(shapes)
    }

    fn check_logits(&self, shapes: &[Shape]) -> Result<(), ArchitectureError> {
        let logits =
            |layer: &Layer| matches!(layer, Layer::Linear(l) if l.output == Output::Logits);
        let count = self.layers.iter().filter(|l| logits(l)).count();
        let last = self.layers.last().is_some_and(logits);
        let shape = shapes.last().copied().unwrap_or(self.input);
        if count != 1 || !last || shape.positions() != 1 || shape.channels < 2 {
            return Err(ArchitectureError::BadLogits);
        }
        check_most("the number of classes", shape.channels, 1 << 14)
    }
}

fn linear_shape(
    layer: usize,
    linear: &Linear,
    input: &impl Fn(TensorId) -> Result<Shape, ArchitectureError>,
) -> Result<Shape, ArchitectureError> {
    let bad = |reason| ArchitectureError::BadLayer { layer, reason };
    if linear.terms.is_empty() {
        return Err(bad("a linear layer needs at least one input"));
    }
    for term in &linear.terms {
        let shape = input(term.input)?;
        if term.groups == 0
            || !shape.channels.is_multiple_of(term.groups)
            || !linear.shape.channels.is_multiple_of(term.groups)
        {
            return Err(bad("the groups must divide the channels on both sides"));
        }
        let (height, width) = window_positions(layer, term, shape)?;
        let expected = Shape::new(linear.shape.channels, height, width);
        if expected != linear.shape {
            return Err(ArchitectureError::ShapeMismatch {
                layer,
                expected,
                found: linear.shape,
            });
        }
    }
    Ok(linear.shape)
}

/// Weights and biases of a layer whose shape is checked; never more than a `usize` holds.
fn linear_weights(
    linear: &Linear,
    input: &impl Fn(TensorId) -> Result<Shape, ArchitectureError>,
) -> Result<usize, ArchitectureError> {
    let mut weights = linear.shape.channels;
    for term in &linear.terms {
        let own = (input(term.input)?.channels / term.groups)
            .saturating_mul(linear.shape.channels)
            .saturating_mul(term.kernel.0.saturating_mul(term.kernel.1));
        weights = weights.saturating_add(own);
    }
    Ok(weights)
}

fn window_positions(
    layer: usize,
    term: &Term,
    shape: Shape,
) -> Result<(usize, usize), ArchitectureError> {
    let bad = |reason| ArchitectureError::BadLayer { layer, reason };
    let (kernel, stride, p) = (term.kernel, term.stride, &term.padding);
    if kernel.0 == 0 || kernel.1 == 0 || stride.0 == 0 || stride.1 == 0 {
        return Err(bad("kernel and stride must be at least 1"));
    }
    if p.top >= kernel.0 || p.bottom >= kernel.0 || p.left >= kernel.1 || p.right >= kernel.1 {
        return Err(bad("padding must be smaller than the kernel"));
    }
    term.positions(shape)
        .ok_or_else(|| bad("the kernel is larger than the padded input"))
}

fn check_size(shape: Shape) -> Result<Shape, ArchitectureError> {
    let cells = shape
        .channels
        .saturating_mul(shape.height)
        .saturating_mul(shape.width);
    if cells == 0 {
        return Err(ArchitectureError::NoCells { found: shape });
    }
    check_most("the number of cells of a tensor", cells, MAX_CELLS)?;
    Ok(shape)
}

fn check_most(what: &'static str, found: usize, max: usize) -> Result<(), ArchitectureError> {
    match found > max {
        true => Err(ArchitectureError::TooLarge { what, found, max }),
        false => Ok(()),
    }
}

fn check_format(
    what: &'static str,
    found: u32,
    min: u32,
    max: u32,
) -> Result<(), ArchitectureError> {
    if !(min..=max).contains(&found) {
        return Err(ArchitectureError::BadFormat {
            what,
            min,
            max,
            found,
        });
    }
    Ok(())
}
