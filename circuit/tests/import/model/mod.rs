//! ONNX files written by hand, for the import's tests.

pub mod check;
pub mod reference;

use prost::Message;
use zknode_circuit::network::import::onnx::proto::*;
use zknode_circuit::network::import::{self, ImportError, ImportOptions, Imported};

/// A graph in the making; its input is called `image`.
#[derive(Clone)]
pub struct Model(pub ModelProto);

impl Model {
    /// A model of images `dims` (without the batch, which is not fixed).
    pub fn new(dims: &[i64]) -> Self {
        let mut sides = vec![DimensionProto {
            dim_value: None,
            dim_param: Some("batch".into()),
        }];
        sides.extend(dims.iter().map(|&side| DimensionProto {
            dim_value: Some(side),
            dim_param: None,
        }));
        let image = ValueInfoProto {
            name: "image".into(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: element::FLOAT,
                    shape: Some(TensorShapeProto { dim: sides }),
                }),
            }),
        };
        Self(ModelProto {
            ir_version: 8,
            graph: Some(GraphProto {
                input: vec![image],
                ..GraphProto::default()
            }),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 13,
            }],
        })
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.0.graph.as_mut().unwrap()
    }

    /// A float constant.
    pub fn constant(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.graph().initializer.push(TensorProto {
            dims: dims.to_vec(),
            data_type: element::FLOAT,
            float_data: values.to_vec(),
            name: name.into(),
            ..TensorProto::default()
        });
        self
    }

    /// A constant list of integers.
    pub fn integers(mut self, name: &str, values: &[i64]) -> Self {
        self.graph().initializer.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: element::INT64,
            int64_data: values.to_vec(),
            name: name.into(),
            ..TensorProto::default()
        });
        self
    }

    pub fn node(
        mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        with: &[AttributeProto],
    ) -> Self {
        self.graph().node.push(NodeProto {
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            op_type: op.into(),
            attribute: with.to_vec(),
            ..NodeProto::default()
        });
        self
    }

    /// Names the output.
    pub fn output(mut self, name: &str) -> Self {
        self.graph().output.push(ValueInfoProto {
            name: name.into(),
            r#type: None,
        });
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// Imports with the default options: what is not said in the file is pixel / 255.
    pub fn import(&self, images: &[Vec<u8>]) -> Result<Imported, ImportError> {
        import::onnx(
            &self.bytes(),
            images,
            &ImportOptions::default(),
            &mut |_| (),
        )
    }

    /// The first step of an import alone.
    pub fn float(&self) -> Result<import::FloatModel, ImportError> {
        import::float(&self.bytes(), &ImportOptions::default())
    }

    /// The error of an import with images of `cells` bytes.
    pub fn refused(&self, cells: usize) -> ImportError {
        match self.import(&[vec![100; cells]]) {
            Ok(_) => panic!("the model was imported"),
            Err(error) => error,
        }
    }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i,
        r#type: kind::INT,
        ..AttributeProto::default()
    }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        f,
        r#type: kind::FLOAT,
        ..AttributeProto::default()
    }
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        r#type: kind::INTS,
        ..AttributeProto::default()
    }
}

pub fn string(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        s: s.as_bytes().to_vec(),
        r#type: kind::STRING,
        ..AttributeProto::default()
    }
}

/// A few numbers that are no pattern, between -1 and 1.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    use rand::{rngs::StdRng, Rng, SeedableRng};
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.gen_range(-1.0..1.0)).collect()
}

/// Random images of `cells` bytes.
pub fn images(count: usize, cells: usize, seed: u64) -> Vec<Vec<u8>> {
    use rand::{rngs::StdRng, Rng, SeedableRng};
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|_| (0..cells).map(|_| rng.gen()).collect())
        .collect()
}
