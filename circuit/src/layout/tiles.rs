//! How the grid cuts the tensors of a network: every tensor into equal tiles, until a global pooling makes it whole.
//!
//! An image of `H x W` positions under a grid of `R x C` tiles is `R*C` tiles of `H/R x W/C`; tile `(Y, X)` of sample `n`
//! is *slot* `(Y*N + n)*C + X`. A cell of a tile, one in all slots, is what a batch's cell is to its samples. A layer
//! fits when a tile of its output is computed from the same tile of its input and its neighbours, so when the tiles'
//! sides are in the proportion of the stride.

use super::{Grid, LayoutError};
use crate::network::{Architecture, Layer, Output, Padding, Shape, SumPool, TensorId};

/// A tensor under the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Shape of one tile.
    pub shape: Shape,
    /// Whether a sample has one value of each cell, not one in each of its tiles: after a global pooling.
    pub whole: bool,
    /// Whether the tensor is read by global pooling alone, which sums over tiles.
    pub summed: bool,
}

/// Whether a pooling takes in all of its input's positions.
pub(super) fn is_global(pool: &SumPool, from: Shape) -> bool {
    pool.kernel == (from.height, from.width)
}

/// Tiles of all tensors, the input first.
pub(super) fn cut(
    architecture: &Architecture,
    shapes: &[Shape],
    grid: Grid,
) -> Result<Vec<Tile>, LayoutError> {
    let mut tiles = vec![];
    for (tensor, &shape) in shapes.iter().enumerate() {
        let layer = tensor.checked_sub(1).map(|l| &architecture.layers[l]);
        let refuse = |reason| LayoutError::Grid {
            layer: tensor.saturating_sub(1),
            grid,
            reason,
        };
        let whole = grid != Grid::WHOLE && is_whole(layer, shapes, &tiles);
        let tile = Tile {
            shape: match whole || grid == Grid::WHOLE {
                true => shape,
                false => tile_shape(shape, grid)
                    .ok_or_else(|| refuse("it does not divide the sides of the tensor"))?,
            },
            whole,
            summed: false,
        };
        if let (Some(layer), true) = (layer, grid != Grid::WHOLE) {
            fits(layer, tile, shapes, &mut tiles).map_err(refuse)?;
        }
        tiles.push(tile);
    }
    check_readers(architecture, shapes, grid, &tiles)?;
    Ok(tiles)
}

fn tile_shape(shape: Shape, grid: Grid) -> Option<Shape> {
    let divides =
        shape.height.is_multiple_of(grid.rows) && shape.width.is_multiple_of(grid.columns);
    divides.then(|| {
        Shape::new(
            shape.channels,
            shape.height / grid.rows,
            shape.width / grid.columns,
        )
    })
}

fn is_whole(layer: Option<&Layer>, shapes: &[Shape], tiles: &[Tile]) -> bool {
    match layer {
        None => false,
        Some(Layer::Linear(linear)) => linear.terms.iter().all(|term| tiles[term.input.0].whole),
        Some(Layer::SumPool(pool)) => {
            tiles[pool.input.0].whole || is_global(pool, shapes[pool.input.0])
        }
        Some(Layer::MaxPool(pool)) => tiles[pool.input.0].whole,
        Some(Layer::Flatten { input }) => tiles[input.0].whole,
    }
}

const OVER_THE_EDGE: &str = "a pooling window reaches over the edge of a tile";

fn within(kernel: (usize, usize), stride: (usize, usize)) -> bool {
    kernel.0 <= stride.0 && kernel.1 <= stride.1
}

/// Whether a layer can be computed tile by tile; marks what a global pooling reads.
fn fits(
    layer: &Layer,
    tile: Tile,
    shapes: &[Shape],
    tiles: &mut [Tile],
) -> Result<(), &'static str> {
    let in_proportion = |from: Tile, stride: (usize, usize)| {
        !from.whole
            && from.shape.height == tile.shape.height * stride.0
            && from.shape.width == tile.shape.width * stride.1
    };
    match layer {
        Layer::Flatten { .. } if tile.whole => Ok(()),
        Layer::Flatten { .. } => Err("only what is pooled to one position can be flattened"),
        Layer::Linear(linear) if tile.whole => {
            let plain = linear.terms.iter().all(|term| term.kernel == (1, 1));
            (plain && linear.output == Output::Logits)
                .then_some(())
                .ok_or("only logits without a window may follow a global pooling")
        }
        Layer::Linear(linear) => {
            let good = linear
                .terms
                .iter()
                .all(|term| in_proportion(tiles[term.input.0], term.stride));
            good.then_some(())
                .ok_or("its input's tiles are not its own times the stride")
        }
        Layer::SumPool(pool) if tile.whole => {
            if tiles[pool.input.0].whole {
                return Err("a tensor is pooled globally twice");
            }
            debug_assert!(is_global(pool, shapes[pool.input.0]));
            tiles[pool.input.0].summed = true;
            Ok(())
        }
        Layer::SumPool(pool) => (within(pool.kernel, pool.stride)
            && in_proportion(tiles[pool.input.0], pool.stride))
        .then_some(())
        .ok_or(OVER_THE_EDGE),
        Layer::MaxPool(pool) => (within(pool.kernel, pool.stride)
            && pool.padding == Padding::default()
            && in_proportion(tiles[pool.input.0], pool.stride))
        .then_some(())
        .ok_or(OVER_THE_EDGE),
    }
}

/// A summed tensor is folded otherwise than the rest, so nothing else may read it.
fn check_readers(
    architecture: &Architecture,
    shapes: &[Shape],
    grid: Grid,
    tiles: &[Tile],
) -> Result<(), LayoutError> {
    let committed = |id: TensorId| {
        let layer = id.0.checked_sub(1).map(|l| &architecture.layers[l]);
        matches!(layer, Some(Layer::Linear(_)))
    };
    for (index, layer) in architecture.layers.iter().enumerate() {
        let refuse = |reason| LayoutError::Grid {
            layer: index,
            grid,
            reason,
        };
        let reads: Vec<TensorId> = match layer {
            Layer::Linear(linear) => linear.terms.iter().map(|term| term.input).collect(),
            Layer::Flatten { input } => vec![*input],
            Layer::SumPool(pool) if is_global(pool, shapes[pool.input.0]) => {
                if tiles[pool.input.0].summed && !committed(pool.input) {
                    return Err(refuse("a global pooling must read a layer's activations"));
                }
                vec![]
            }
            Layer::SumPool(pool) => vec![pool.input],
            Layer::MaxPool(pool) => vec![pool.input],
        };
        if reads.iter().any(|id| tiles[id.0].summed) {
            return Err(refuse("it reads a tensor that is also pooled globally"));
        }
    }
    Ok(())
}
