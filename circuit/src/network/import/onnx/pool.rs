//! Poolings.

use super::lower::Lowering;
use super::node::Node;
use super::value::Value;
use super::window::padding;
use crate::network::import::pool::Window;
use crate::network::import::tensor::{both, Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::{Padding, Shape};

impl<'a> Lowering<'a> {
    /// The window that a node's attributes describe on a tensor.
    pub(super) fn window(&self, node: &Node<'a>, tensor: &Tensor) -> Result<Window, ImportError> {
        let kernel = node.sides("kernel_shape", None)?;
        let stride = node.sides("strides", Some((1, 1)))?;
        let &[_, height, width] = &tensor.dims[..] else {
            return Err(node.form("only pooling in two dimensions is supported"));
        };
        if node.sides("dilations", Some((1, 1)))? != (1, 1) {
            return Err(node.form("only dilation 1 is supported"));
        }
        Ok(Window {
            kernel,
            stride,
            padding: padding(node, (height, width), kernel, stride)?,
        })
    }

    pub(super) fn average_pool(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        // Without padding count_include_pad changes nothing.
        node.only(&[
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "strides",
        ])?;
        let tensor = self.tensor(node, 0)?;
        self.means(node, &tensor)
    }

    /// The mean of every window that the attributes describe.
    pub(super) fn means(&mut self, node: &Node<'a>, tensor: &Tensor) -> Result<Value, ImportError> {
        let window = self.window(node, tensor)?;
        let Shape { height, width, .. } = self.shape(tensor);
        if window.padding != Padding::default() {
            return Err(node.form("only average pooling without padding is supported"));
        }
        let (kernel, stride) = (window.kernel, window.stride);
        if kernel.0 > height || kernel.1 > width {
            return Err(node.form("the window is larger than the tensor"));
        }
        let exact = (height - kernel.0) % stride.0 == 0 && (width - kernel.1) % stride.1 == 0;
        if node.int("ceil_mode", 0)? != 0 && !exact {
            return Err(node.form("ceil_mode with windows that reach outside is not supported"));
        }
        Ok(self.average(node, tensor, window))
    }

    pub(super) fn max_pool(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        // The storage order is that of the indices, which are not made.
        node.only(&[
            "auto_pad",
            "ceil_mode",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ])?;
        let mut tensor = self.marked(node, 0)?;
        let mut window = self.window(node, &tensor)?;
        if node.int("ceil_mode", 0)? != 0 {
            let &[channels, height, width] = &tensor.dims[..] else {
                return Err(node.form("only pooling in two dimensions is supported"));
            };
            window = window.rounded_up(Shape::new(channels, height, width));
        }
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
        self.greatest(node, &tensor, window)
    }

    pub(super) fn global_average_pool(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let tensor = self.tensor(node, 0)?;
        let window = self.whole(node, &tensor)?;
        Ok(self.average(node, &tensor, window))
    }

    pub(super) fn global_max_pool(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let tensor = self.viewed(node, 0)?;
        let window = self.whole(node, &tensor)?;
        self.greatest(node, &tensor, window)
    }

    /// The mean over all positions: global average pooling under another name.
    pub(super) fn reduce_mean(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
        let tensor = self.tensor(node, 0)?;
        let mut axes = self.axes(node)?;
        for axis in axes.iter_mut().filter(|axis| **axis < 0) {
            *axis = axis.saturating_add(4);
        }
        axes.sort_unstable();
        let &[channels, ..] = &tensor.dims[..] else {
            return Err(node.form("only the mean over height and width is supported"));
        };
        if axes != [2, 3] || tensor.dims.len() != 3 {
            return Err(node.form("only the mean over height and width is supported"));
        }
        let window = self.whole(node, &tensor)?;
        let pooled = self.average(node, &tensor, window);
        match (node.int("keepdims", 1)?, pooled) {
            (0, Value::Tensor(tensor)) => Ok(self.renamed(tensor, vec![channels])),
            (_, pooled) => Ok(pooled),
        }
    }

    pub(super) fn whole(&self, node: &Node<'a>, tensor: &Tensor) -> Result<Window, ImportError> {
        match tensor.dims.len() {
            3 => Ok(Window::global(self.shape(tensor))),
            _ => Err(node.form("only pooling in two dimensions is supported")),
        }
    }

    pub(super) fn average(&mut self, node: &Node, tensor: &Tensor, window: Window) -> Value {
        let id = self.stack.push_average(&node.name, tensor.id, window);
        self.pooled(tensor, id)
    }

    fn greatest(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        window: Window,
    ) -> Result<Value, ImportError> {
        let refused = |reason| node.form(reason);
        let id = self
            .stack
            .push_max(&node.name, tensor.id, tensor.shared, window, refused)?;
        Ok(self.pooled(tensor, id))
    }

    /// The tensor a pooling makes.
    fn pooled(&self, from: &Tensor, id: crate::network::TensorId) -> Value {
        let Shape {
            channels,
            height,
            width,
        } = self.stack.shapes[id.0];
        Value::Tensor(Tensor {
            id,
            dims: vec![channels, height, width],
            shared: from.shared && id == from.id,
            ..from.clone()
        })
    }
}
