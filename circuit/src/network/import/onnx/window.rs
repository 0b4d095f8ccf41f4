//! Padding of convolutions and poolings.

use super::node::Node;
use crate::network::import::ImportError;
use crate::network::Padding;

/// The border that `pads` or `auto_pad` describes around `(height, width)` cells.
pub fn padding(
    node: &Node,
    size: (usize, usize),
    kernel: (usize, usize),
    stride: (usize, usize),
) -> Result<Padding, ImportError> {
    let explicit = node.ints("pads")?;
    let low_first = match node.string("auto_pad")? {
        None | Some(b"NOTSET") => {
            return explicit.map_or(Ok(Padding::default()), |p| read(node, p))
        }
        Some(_) if explicit.is_some_and(|pads| pads.iter().any(|&p| p != 0)) => {
            return Err(node.form("pads and auto_pad exclude each other"))
        }
        Some(b"VALID") => return Ok(Padding::default()),
        Some(b"SAME_UPPER") => false,
        Some(b"SAME_LOWER") => true,
        Some(_) => {
            return Err(node.form("auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER"))
        }
    };
    let (top, bottom) = same(size.0, kernel.0, stride.0, low_first);
    let (left, right) = same(size.1, kernel.1, stride.1, low_first);
    Ok(Padding {
        top,
        left,
        bottom,
        right,
        value: 0,
    })
}

fn read(node: &Node, pads: &[i64]) -> Result<Padding, ImportError> {
    let refused = || node.form("pads must be four sides, none of them negative");
    let side = |index: usize| {
        let side = pads.get(index).copied().map(usize::try_from);
        side.and_then(Result::ok).ok_or_else(refused)
    };
    if pads.len() != 4 {
        return Err(refused());
    }
    Ok(Padding {
        top: side(0)?,
        left: side(1)?,
        bottom: side(2)?,
        right: side(3)?,
        value: 0,
    })
}

/// Cells before and after, so that a side of `size` has `ceil(size / stride)` outputs; an odd one
/// goes after, or before for `SAME_LOWER`.
fn same(size: usize, kernel: usize, stride: usize, low_first: bool) -> (usize, usize) {
    let outputs = size.div_ceil(stride);
    let reach = outputs
        .saturating_sub(1)
        .saturating_mul(stride)
        .saturating_add(kernel);
    let total = reach.saturating_sub(size);
    let (less, more) = (total / 2, total - total / 2);
    if low_first {
        (more, less)
    } else {
        (less, more)
    }
}
