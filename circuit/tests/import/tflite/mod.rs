//! TensorFlow Lite files made in memory: a small writer of FlatBuffers, and models built with it.

pub mod reference;

use zknode_circuit::network::import::{self, FloatModel, ImportError, ImportOptions, Imported};

/// A part of a file before it is laid out: what a table's field may hold.
#[derive(Clone)]
pub enum Part {
    Byte(i8),
    Word(i32),
    Float(f32),
    Table(Vec<(usize, Part)>),
    /// Elements of a size in bytes, and the bytes of them all.
    Vector(usize, Vec<u8>),
    Tables(Vec<Part>),
}

pub fn words(values: &[i32]) -> Part {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    Part::Vector(4, bytes.collect())
}

pub fn longs(values: &[i64]) -> Part {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    Part::Vector(8, bytes.collect())
}

pub fn floats(values: &[f32]) -> Part {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    Part::Vector(4, bytes.collect())
}

pub fn string(text: &str) -> Part {
    Part::Vector(1, text.as_bytes().to_vec())
}

/// Writes a part that is reached by a distance; gives its place. Every table follows its vtable and
/// is followed by what it refers to.
fn write(file: &mut Vec<u8>, part: &Part) -> usize {
    let patch = |file: &mut Vec<u8>, at: usize, to: usize| {
        file[at..at + 4].copy_from_slice(&((to - at) as u32).to_le_bytes());
    };
    match part {
        Part::Table(fields) => {
            let size = 4 + 2 * fields.iter().map(|(n, _)| n + 1).max().unwrap_or(0);
            let vtable = file.len();
            let at = (vtable + size).next_multiple_of(4);
            let mut places = vec![0u16; (size - 4) / 2];
            for (slot, (field, _)) in fields.iter().enumerate() {
                places[*field] = 4 + 4 * slot as u16;
            }
            file.extend((size as u16).to_le_bytes());
            file.extend((4 + 4 * fields.len() as u16).to_le_bytes());
            file.extend(places.iter().flat_map(|place| place.to_le_bytes()));
            file.resize(at, 0);
            file.extend(((at - vtable) as i32).to_le_bytes());
            for (_, part) in fields {
                file.extend(match part {
                    Part::Byte(value) => i32::from(*value as u8).to_le_bytes(),
                    Part::Word(value) => value.to_le_bytes(),
                    Part::Float(value) => value.to_le_bytes(),
                    _ => [0; 4],
                });
            }
            for (slot, (_, part)) in fields.iter().enumerate() {
                if !matches!(part, Part::Byte(_) | Part::Word(_) | Part::Float(_)) {
                    let to = write(file, part);
                    patch(file, at + 4 + 4 * slot, to);
                }
            }
            at
        }
        Part::Vector(size, bytes) => {
            file.resize(file.len().next_multiple_of(4), 0);
            let at = file.len();
            file.extend(((bytes.len() / size) as u32).to_le_bytes());
            file.extend(bytes);
            at
        }
        Part::Tables(tables) => {
            file.resize(file.len().next_multiple_of(4), 0);
            let at = file.len();
            file.extend((tables.len() as u32).to_le_bytes());
            file.resize(file.len() + 4 * tables.len(), 0);
            for (index, table) in tables.iter().enumerate() {
                let to = write(file, table);
                patch(file, at + 4 + 4 * index, to);
            }
            at
        }
        Part::Byte(_) | Part::Word(_) | Part::Float(_) => unreachable!("it stands in its table"),
    }
}

/// Element types.
pub const FLOAT32: i8 = 0;
pub const INT32: i8 = 2;
pub const UINT8: i8 = 3;
pub const INT8: i8 = 9;

#[derive(Clone)]
pub struct Tensor {
    pub shape: Vec<i32>,
    pub element: i8,
    pub name: String,
    pub data: Vec<u8>,
    pub scale: Vec<f32>,
    pub zero_point: Vec<i64>,
    pub dimension: i32,
}

#[derive(Clone)]
pub struct Operator {
    pub code: i32,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub kind: i8,
    pub options: Vec<(usize, Part)>,
}

/// A model; tensors are added one by one and go by their index.
#[derive(Clone, Default)]
pub struct Model {
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
}

impl Model {
    fn push(&mut self, tensor: Tensor) -> i32 {
        self.tensors.push(tensor);
        self.tensors.len() as i32 - 1
    }

    /// A tensor of floats that an operator makes, or the input.
    pub fn floats(&mut self, shape: &[i32]) -> i32 {
        let name = format!("t{}", self.tensors.len());
        self.push(Tensor {
            shape: shape.to_vec(),
            element: FLOAT32,
            name,
            data: vec![],
            scale: vec![],
            zero_point: vec![],
            dimension: 0,
        })
    }

    /// The same of signed bytes.
    pub fn bytes(&mut self, shape: &[i32], scale: f32, zero_point: i64) -> i32 {
        let index = self.floats(shape);
        let tensor = &mut self.tensors[index as usize];
        tensor.element = INT8;
        (tensor.scale, tensor.zero_point) = (vec![scale], vec![zero_point]);
        index
    }

    /// A constant of floats.
    pub fn constant(&mut self, shape: &[i32], values: &[f32]) -> i32 {
        let index = self.floats(shape);
        let tensor = &mut self.tensors[index as usize];
        tensor.data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        index
    }

    /// Weights of signed bytes, a scale along a dimension.
    pub fn weights(&mut self, shape: &[i32], values: &[i8], scale: &[f32], dimension: i32) -> i32 {
        let index = self.floats(shape);
        let tensor = &mut self.tensors[index as usize];
        tensor.element = INT8;
        tensor.data = values.iter().map(|&v| v as u8).collect();
        (tensor.scale, tensor.dimension) = (scale.to_vec(), dimension);
        tensor.zero_point = vec![0; scale.len()];
        index
    }

    /// A constant of integers, scaled if there are scales.
    pub fn integers(&mut self, shape: &[i32], values: &[i32], scale: &[f32]) -> i32 {
        let index = self.floats(shape);
        let tensor = &mut self.tensors[index as usize];
        tensor.element = INT32;
        tensor.data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        tensor.scale = scale.to_vec();
        index
    }

    /// An operator; gives what it makes.
    pub fn operator(
        &mut self,
        code: i32,
        inputs: &[i32],
        output: i32,
        kind: i8,
        options: &[(usize, Part)],
    ) -> i32 {
        self.operators.push(Operator {
            code,
            inputs: inputs.to_vec(),
            outputs: vec![output],
            kind,
            options: options.to_vec(),
        });
        output
    }

    pub fn file(&self) -> Vec<u8> {
        let tensor = |(index, tensor): (usize, &Tensor)| {
            Part::Table(vec![
                (0, words(&tensor.shape)),
                (1, Part::Byte(tensor.element)),
                (2, Part::Word(index as i32 + 1)),
                (3, string(&tensor.name)),
                (
                    4,
                    Part::Table(vec![
                        (2, floats(&tensor.scale)),
                        (3, longs(&tensor.zero_point)),
                        (6, Part::Word(tensor.dimension)),
                    ]),
                ),
            ])
        };
        let codes = self.operators.iter().map(|operator| {
            let old = operator.code.min(127) as i8;
            Part::Table(vec![(0, Part::Byte(old)), (3, Part::Word(operator.code))])
        });
        let operators = self.operators.iter().enumerate().map(|(index, operator)| {
            let mut fields = vec![
                (0, Part::Word(index as i32)),
                (1, words(&operator.inputs)),
                (2, words(&operator.outputs)),
            ];
            if operator.kind != 0 {
                fields.push((3, Part::Byte(operator.kind)));
                fields.push((4, Part::Table(operator.options.clone())));
            }
            Part::Table(fields)
        });
        let graph = Part::Table(vec![
            (
                0,
                Part::Tables(self.tensors.iter().enumerate().map(tensor).collect()),
            ),
            (1, words(&self.inputs)),
            (2, words(&self.outputs)),
            (3, Part::Tables(operators.collect())),
        ]);
        let data = |tensor: &Tensor| match tensor.data.is_empty() {
            true => Part::Table(vec![]),
            false => Part::Table(vec![(0, Part::Vector(1, tensor.data.clone()))]),
        };
        let buffers = std::iter::once(Part::Table(vec![])).chain(self.tensors.iter().map(data));
        let model = Part::Table(vec![
            (0, Part::Word(3)),
            (1, Part::Tables(codes.collect())),
            (2, Part::Tables(vec![graph])),
            (4, Part::Tables(buffers.collect())),
        ]);
        let mut file = vec![0, 0, 0, 0, b'T', b'F', b'L', b'3'];
        let root = write(&mut file, &model) as u32;
        file[..4].copy_from_slice(&root.to_le_bytes());
        file
    }

    pub fn float(&self) -> Result<FloatModel, ImportError> {
        import::float(&self.file(), &ImportOptions::default())
    }

    pub fn import(&self, images: &[Vec<u8>]) -> Result<Imported, ImportError> {
        let options = ImportOptions::default();
        import::tflite(&self.file(), images, &options, &mut |_| ())
    }
}

/// `count` integers in -127..=127 that follow no pattern.
pub fn integers(count: usize, seed: u32) -> Vec<i8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i8
    };
    (0..count).map(|_| next().max(-127)).collect()
}
