//! Poolings.

use super::lower::{shape_of, Lowering};
use super::node::Node;
use super::schema::options;
use crate::network::import::pool::Window;
use crate::network::import::stack::same;
use crate::network::import::tensor::{both, Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::{Padding, Shape, TensorId};

impl<'a> Lowering<'a> {
    /// The window that an operator's options describe on a tensor of a shape.
    fn window(&self, node: &Node<'a>, shape: Shape) -> Result<Window, ImportError> {
        let kind = options::POOL_2D;
        let filter = [options::FILTER_HEIGHT, options::FILTER_WIDTH];
        let kernel = node.sides(kind, filter, 0)?;
        let stride = node.sides(kind, [options::STRIDE_H, options::STRIDE_W], 0)?;
        let (mut rows, mut columns) = ((0, 0), (0, 0));
        if node.is_same(kind)? {
            rows = same(shape.height, kernel.0, stride.0);
            columns = same(shape.width, kernel.1, stride.1);
        }
        let padding = Padding {
            top: rows.0,
            left: columns.0,
            bottom: rows.1,
            right: columns.1,
            value: 0,
        };
        Ok(Window {
            kernel,
            stride,
            padding,
        })
    }

    pub(super) fn average_pool(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let clamp = node.activation(options::POOL_2D, options::POOL_ACTIVATION)?;
        let tensor = self.tensor(node, 0)?;
        let shape = shape_of(&tensor.dims);
        let window = self.window(node, shape)?;
        if window.padding != Padding::default() {
            return Err(node.form("only average pooling without padding is supported"));
        }
        if window.kernel.0 > shape.height || window.kernel.1 > shape.width {
            return Err(node.form("the window is larger than the tensor"));
        }
        let bounds = self.stack.bounds(tensor.id);
        if bounds.then(clamp) != bounds {
            return Err(node.form("an activation function after a pooling is not supported"));
        }
        self.average(node, &tensor, window)
    }

    /// The mean over all positions: average pooling under another name.
    pub(super) fn mean(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let tensor = self.tensor(node, 0)?;
        let mut axes = self.integers(node, 1)?;
        for axis in axes.iter_mut().filter(|axis| **axis < 0) {
            *axis = axis.saturating_add(4);
        }
        axes.sort_unstable();
        let (&[_, _, channels], &[1, 2]) = (&tensor.dims[..], &axes[..]) else {
            return Err(node.form("only the mean over height and width is supported"));
        };
        let window = Window::global(shape_of(&tensor.dims));
        let mut pooled = self.average(node, &tensor, window)?;
        if node.byte(options::REDUCER, 0)? == 0 {
            pooled.dims = vec![channels];
        }
        Ok(pooled)
    }

    fn average(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        window: Window,
    ) -> Result<Tensor, ImportError> {
        let id = self.stack.push_average(&node.name, tensor.id, window);
        self.pooled(node, tensor, id)
    }

    pub(super) fn max_pool(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let clamp = node.activation(options::POOL_2D, options::POOL_ACTIVATION)?;
        let mut tensor = self.marked(node, 0)?;
        let mut window = self.window(node, shape_of(&tensor.dims))?;
        match tensor.mark {
            // Zeros in the border never win where nothing is less.
            Mark::Border(border) if self.stack.bounds(tensor.id).low >= 0.0 => {
                window.padding = both(border, window.padding);
                tensor.mark = Mark::None;
            }
            Mark::Border(_) => {
                let reason =
                    "a border of zeros around values that may be negative is not supported";
                return Err(node.form(reason));
            }
            _ => tensor.plain().map_err(|reason| node.form(reason))?,
        }
        let refused = |reason| node.form(reason);
        let id = self
            .stack
            .push_max(&node.name, tensor.id, tensor.shared, window, refused)?;
        let pooled = self.pooled(node, &tensor, id)?;
        let bounds = self.stack.bounds(id);
        if bounds.then(clamp) == bounds {
            return Ok(pooled);
        }
        if id != tensor.id && self.stack.clamp_in_place(id, clamp) {
            return Ok(pooled);
        }
        let id = self.stack.push_identity(&node.name, id, clamp)?;
        self.rounded(node, id, pooled.dims)
    }

    /// The tensor a pooling makes.
    fn pooled(&mut self, node: &Node, from: &Tensor, id: TensorId) -> Result<Tensor, ImportError> {
        let Shape {
            channels,
            height,
            width,
        } = self.stack.shapes[id.0];
        let dims = vec![height, width, channels];
        match id == from.id {
            true => Ok(Tensor {
                dims,
                ..from.clone()
            }),
            false => self.rounded(node, id, dims),
        }
    }
}
