//! Padding of convolutions and poolings.

use super::node::Node;
use crate::network::import::stack::same;
use crate::network::import::ImportError;
use crate::network::Padding;

/// Cells of a border.
const MAX_SIDE: usize = 1 << 16;

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
            return explicit.map_or(Ok(Padding::default()), |pads| border(node, pads))
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
    let (mut top, mut bottom) = same(size.0, kernel.0, stride.0);
    let (mut left, mut right) = same(size.1, kernel.1, stride.1);
    if low_first {
        (top, bottom, left, right) = (bottom, top, right, left);
    }
    Ok(Padding {
        top,
        left,
        bottom,
        right,
        value: 0,
    })
}

/// The border `[top, left, bottom, right]`.
pub fn border(node: &Node, sides: &[i64]) -> Result<Padding, ImportError> {
    let side = |index: usize| {
        let side = sides.get(index).copied().map(usize::try_from);
        side.and_then(Result::ok).filter(|&side| side < MAX_SIDE)
    };
    let all = (side(0), side(1), side(2), side(3));
    match (sides.len(), all) {
        (4, (Some(top), Some(left), Some(bottom), Some(right))) => Ok(Padding {
            top,
            left,
            bottom,
            right,
            value: 0,
        }),
        _ => Err(node.form(format!("pads must be four sides in 0..{MAX_SIDE}"))),
    }
}
