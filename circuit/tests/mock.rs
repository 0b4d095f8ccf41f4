#![allow(clippy::unwrap_used, missing_docs)]
use halo2_proofs::{dev::MockProver, halo2curves::bn256::Fr};
use rand::{rngs::StdRng, Rng, SeedableRng};
use std::sync::Arc;
use zknode_circuit::{
    attestation::*, layout::*, network::execute::*, network::*, witness::instance::*,
    witness::lanes::*,
};

fn net(rng: &mut StdRng) -> Network {
    let term = |input: usize, k: usize, s: usize, p: usize, v: u8, g: usize| Term {
        input: TensorId(input),
        kernel: (k, k),
        stride: (s, s),
        padding: Padding {
            top: p,
            left: p,
            bottom: p,
            right: p,
            value: v,
        },
        groups: g,
    };
    let lin = |name: &str, terms: Vec<Term>, shape: Shape, output| {
        Layer::Linear(Linear {
            name: name.into(),
            terms,
            shape,
            output,
        })
    };
    let architecture = Architecture {
        input: Shape::new(2, 5, 5),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            lin(
                "c1",
                vec![term(0, 3, 1, 1, 7, 1)],
                Shape::new(4, 5, 5),
                Output::Activation,
            ),
            lin(
                "dw",
                vec![term(1, 3, 2, 1, 0, 4), term(0, 1, 2, 0, 0, 2)],
                Shape::new(4, 3, 3),
                Output::Activation,
            ),
            Layer::SumPool(SumPool {
                name: "p".into(),
                input: TensorId(2),
                kernel: (2, 2),
                stride: (1, 1),
            }),
            Layer::Flatten { input: TensorId(3) },
            lin(
                "fc",
                vec![term(4, 1, 1, 0, 0, 1)],
                Shape::new(5, 1, 1),
                Output::Logits,
            ),
        ],
    };
    let shapes = architecture.shapes().unwrap();
    let mut layers = vec![];
    for (i, l) in architecture.layers.iter().enumerate() {
        if let Layer::Linear(l) = l {
            layers.push(LinearWeights {
                terms: l
                    .terms
                    .iter()
                    .map(|t| {
                        (0..t.weights(shapes[t.input.0].channels, l.shape.channels))
                            .map(|_| rng.gen_range(-2..3))
                            .collect()
                    })
                    .collect(),
                bias: (0..shapes[i + 1].channels)
                    .map(|_| rng.gen_range(-50..50))
                    .collect(),
            });
        }
    }
    Network::new(architecture, Weights { layers }).unwrap()
}

#[test]
fn accepts() {
    let mut rng = StdRng::seed_from_u64(1);
    let network = net(&mut rng);
    let layout = Arc::new(
        Layout::new(
            network.architecture().clone(),
            LayoutOptions {
                k: 12,
                lanes: 8,
                samples: 16,
                top_k: 2,
            },
        )
        .unwrap(),
    );
    println!(
        "lane rows {} weights {} glue {} score {:?}",
        layout.lane_rows(),
        layout.weight_end(),
        layout.glue().end(),
        layout.score()
    );
    let images: Vec<Vec<u8>> = (0..13)
        .map(|_| (0..50).map(|_| rng.r#gen()).collect())
        .collect();
    let samples: Vec<_> = images
        .iter()
        .map(|i| Sample {
            pixels: i,
            label: rng.gen_range(0..5),
        })
        .collect();
    let (lanes, counts) = Lanes::run(&layout, &network, &samples).unwrap();
    println!("{counts:?}");
    let salt = |mut c: Vec<Fr>| {
        c.resize(layout.usable(), Fr::from(77));
        Arc::new(c)
    };
    let model = salt(weight_column(&layout, &network).unwrap());
    let data = salt(data_column(&layout, &samples).unwrap());
    let st = Statement::new(counts, Context::default());
    let mut public = vec![Fr::zero(); layout.score().expose()];
    public.extend(st.scalars().unwrap());
    let circuit = AttestationCircuit::new(
        layout.clone(),
        Arc::new(Witness {
            lanes,
            model: model.clone(),
            data: data.clone(),
            alter: None,
        }),
    );
    let mock = MockProver::run(12, &circuit, vec![model.to_vec(), data.to_vec(), public]).unwrap();
    if let Err(e) = mock.verify() {
        for e in e.iter().take(5) {
            println!("{e}");
        }
        panic!("{} failures", e.len());
    }
}
