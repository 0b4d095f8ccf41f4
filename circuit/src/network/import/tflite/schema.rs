//! The part of TensorFlow Lite's tables that is read, under the names of its schema (`schema.fbs`,
//! file identifier `TFL3`, version 3). The numbers are those of the fields.

use super::flatbuffer::{root, Table, Vector};
use crate::network::import::{ImportError, MAX_FILE};

/// Operators of one model; tensors, buffers and operator codes are at most four times as many.
const MAX_OPERATORS: usize = 1 << 14;
/// Sides of one tensor.
const MAX_RANK: usize = 8;
/// Bytes of a name that are shown.
const MAX_NAME: usize = 64;
/// What the bytes 4 to 8 of a file are.
pub const IDENTIFIER: [u8; 4] = *b"TFL3";

/// `Model`: its one subgraph.
pub struct Model<'a> {
    /// `OperatorCode.builtin_code` of every operator code.
    pub codes: Vec<i32>,
    /// `SubGraph.tensors`.
    pub tensors: Vec<Tensor<'a>>,
    /// `SubGraph.inputs`.
    pub inputs: Vec<i32>,
    /// `SubGraph.outputs`.
    pub outputs: Vec<i32>,
    /// `SubGraph.operators`.
    pub operators: Vec<Operator<'a>>,
}

/// `Tensor`.
pub struct Tensor<'a> {
    /// `shape`, batch first.
    pub shape: Vec<i32>,
    /// `type`: see [`element`].
    pub element: i8,
    /// `name`, as bytes.
    name: Vector<'a, 1>,
    /// `Buffer.data` of its buffer; empty for tensors that depend on the image.
    pub data: Vector<'a, 1>,
    /// `QuantizationParameters.scale`.
    pub scale: Vector<'a, 4>,
    /// `QuantizationParameters.zero_point`.
    pub zero_point: Vector<'a, 8>,
    /// `QuantizationParameters.quantized_dimension`.
    pub quantized_dimension: i32,
}

/// `Operator`.
pub struct Operator<'a> {
    /// `opcode_index`.
    pub code: usize,
    /// `inputs`; -1 for one that is left out.
    pub inputs: Vec<i32>,
    /// `outputs`.
    pub outputs: Vec<i32>,
    /// `builtin_options`, with the number of its type in the union `BuiltinOptions`.
    pub options: Option<(i8, Table<'a>)>,
}

/// Values of `TensorType`.
pub mod element {
    /// 32-bit float.
    pub const FLOAT32: i8 = 0;
    /// 32-bit integer.
    pub const INT32: i8 = 2;
    /// Unsigned byte.
    pub const UINT8: i8 = 3;
    /// Signed byte.
    pub const INT8: i8 = 9;
}

/// Values of `BuiltinOperator`, those that are imported.
pub mod operator {
    /// Sum of two tensors.
    pub const ADD: i32 = 0;
    /// Means of windows.
    pub const AVERAGE_POOL_2D: i32 = 1;
    /// Tensors one after the other.
    pub const CONCATENATION: i32 = 2;
    /// Convolution.
    pub const CONV_2D: i32 = 3;
    /// Convolution of every channel by itself.
    pub const DEPTHWISE_CONV_2D: i32 = 4;
    /// Bytes to floats.
    pub const DEQUANTIZE: i32 = 6;
    /// Matrix product.
    pub const FULLY_CONNECTED: i32 = 9;
    /// Greatest values of windows.
    pub const MAX_POOL_2D: i32 = 17;
    /// Another shape.
    pub const RESHAPE: i32 = 22;
    /// Softmax.
    pub const SOFTMAX: i32 = 25;
    /// A border of zeros.
    pub const PAD: i32 = 34;
    /// Mean over axes.
    pub const MEAN: i32 = 40;
    /// Floats to bytes, or bytes to bytes of another scale.
    pub const QUANTIZE: i32 = 114;
}

/// Values of the union `BuiltinOptions`, and the fields of its tables.
pub mod options {
    /// `Conv2DOptions`.
    pub const CONV_2D: i8 = 1;
    /// `DepthwiseConv2DOptions`.
    pub const DEPTHWISE_CONV_2D: i8 = 2;
    /// `Pool2DOptions`.
    pub const POOL_2D: i8 = 5;
    /// `FullyConnectedOptions`.
    pub const FULLY_CONNECTED: i8 = 8;
    /// `SoftmaxOptions`.
    pub const SOFTMAX: i8 = 9;
    /// `AddOptions`.
    pub const ADD: i8 = 11;
    /// `ConcatenationOptions`.
    pub const CONCATENATION: i8 = 10;
    /// `ReducerOptions`.
    pub const REDUCER: i8 = 27;

    /// `padding` of convolutions and poolings.
    pub const PADDING: usize = 0;
    /// `stride_w` of the same.
    pub const STRIDE_W: usize = 1;
    /// `stride_h` of the same.
    pub const STRIDE_H: usize = 2;
    /// `fused_activation_function` of `Conv2DOptions`.
    pub const CONV_ACTIVATION: usize = 3;
    /// `dilation_w_factor`, then `dilation_h_factor`, of `Conv2DOptions`.
    pub const CONV_DILATION: usize = 4;
    /// `fused_activation_function` of `DepthwiseConv2DOptions`.
    pub const DEPTHWISE_ACTIVATION: usize = 4;
    /// `dilation_w_factor`, then `dilation_h_factor`, of `DepthwiseConv2DOptions`.
    pub const DEPTHWISE_DILATION: usize = 5;
    /// `filter_width` of `Pool2DOptions`.
    pub const FILTER_WIDTH: usize = 3;
    /// `filter_height` of `Pool2DOptions`.
    pub const FILTER_HEIGHT: usize = 4;
    /// `fused_activation_function` of `Pool2DOptions`.
    pub const POOL_ACTIVATION: usize = 5;
    /// `fused_activation_function` of `AddOptions` and `FullyConnectedOptions`.
    pub const ACTIVATION: usize = 0;
    /// `axis` of `ConcatenationOptions`, then its `fused_activation_function`.
    pub const CONCATENATION_AXIS: usize = 0;
    /// `weights_format` of `FullyConnectedOptions`.
    pub const WEIGHTS_FORMAT: usize = 1;
    /// `beta` of `SoftmaxOptions`.
    pub const BETA: usize = 0;
}

impl<'a> Model<'a> {
    /// Reads the tables of a file.
    pub fn read(file: &'a [u8]) -> Result<Self, ImportError> {
        limit("the number of bytes", file.len(), MAX_FILE)?;
        let model = root(file, &IDENTIFIER)?;
        let version = model.u32(0, 0)?;
        if version != 3 {
            return Err(ImportError::TfliteVersion { found: version });
        }
        let codes = model.tables(1, "the number of operator codes", 4 * MAX_OPERATORS)?;
        // The first field is a byte, the second one holds larger numbers and is newer.
        let code = |code: Table| Ok(code.i32(3, 0)?.max(i32::from(code.i8(0, 0)?)));
        let subgraphs = model.tables(2, "the number of subgraphs", MAX_OPERATORS)?;
        let &[graph] = &subgraphs[..] else {
            let found = subgraphs.len();
            return Err(ImportError::Subgraphs { found });
        };
        let buffers = model.tables(4, "the number of buffers", 4 * MAX_OPERATORS)?;
        let tensors = graph.tables(0, "the number of tensors", 4 * MAX_OPERATORS)?;
        let operators = graph.tables(3, "the number of operators", MAX_OPERATORS)?;
        let tensors = tensors.into_iter().map(|t| Tensor::read(t, &buffers));
        Ok(Self {
            codes: codes
                .into_iter()
                .map(code)
                .collect::<Result<_, ImportError>>()?,
            tensors: tensors.collect::<Result<_, _>>()?,
            inputs: indices(&graph, 1, "the number of inputs of the model")?,
            outputs: indices(&graph, 2, "the number of outputs of the model")?,
            operators: operators
                .into_iter()
                .map(Operator::read)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> Tensor<'a> {
    fn read(table: Table<'a>, buffers: &[Table<'a>]) -> Result<Self, ImportError> {
        let name = table.vector(3)?;
        let buffer = buffers.get(table.u32(2, 0)? as usize);
        let buffer = buffer.ok_or(ImportError::FlatBuffer {
            at: 0,
            reason: "a tensor names a buffer that does not exist",
        })?;
        // `offset` and `size`: data behind the tables, for models beyond 2 GB.
        if buffer.u64(1, 0)? > 1 || buffer.u64(2, 0)? > 1 {
            return Err(ImportError::ExternalData {
                tensor: readable(name),
            });
        }
        if table.table(6)?.is_some() {
            return Err(ImportError::Quantization {
                tensor: readable(name),
                reason: "sparse tensors are not supported",
            });
        }
        let shape = table.vector::<4>(0)?;
        limit("the number of sides of a tensor", shape.len(), MAX_RANK)?;
        let quantization = table.table(4)?;
        Ok(Self {
            shape: shape.iter().map(i32::from_le_bytes).collect(),
            element: table.i8(1, 0)?,
            name,
            data: buffer.vector(0)?,
            scale: quantization.map_or(Ok(Vector::default()), |q| q.vector(2))?,
            zero_point: quantization.map_or(Ok(Vector::default()), |q| q.vector(3))?,
            quantized_dimension: quantization.map_or(Ok(0), |q| q.i32(6, 0))?,
        })
    }

    /// Its name for messages.
    pub fn name(&self) -> String {
        readable(self.name)
    }
}

impl<'a> Operator<'a> {
    fn read(table: Table<'a>) -> Result<Self, ImportError> {
        let kind = table.i8(3, 0)?;
        Ok(Self {
            code: table.u32(0, 0)? as usize,
            inputs: indices(&table, 1, "the number of inputs of an operator")?,
            outputs: indices(&table, 2, "the number of outputs of an operator")?,
            options: table.table(4)?.map(|options| (kind, options)),
        })
    }
}

/// The beginning of a name; converters join the names of fused operators by semicolons.
fn readable(name: Vector<1>) -> String {
    let bytes = name.iter().map(|[byte]| byte).take(MAX_NAME);
    let first: Vec<u8> = bytes.take_while(|byte| *byte != b';').collect();
    String::from_utf8_lossy(&first).into_owned()
}

/// A list of tensors by index.
fn indices(table: &Table, field: usize, what: &'static str) -> Result<Vec<i32>, ImportError> {
    let list = table.vector::<4>(field)?;
    limit(what, list.len(), MAX_RANK)?;
    Ok(list.iter().map(i32::from_le_bytes).collect())
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), ImportError> {
    if found > max {
        return Err(ImportError::TooLarge { what, found, max });
    }
    Ok(())
}
