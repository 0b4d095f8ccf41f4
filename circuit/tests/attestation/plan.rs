//! The search for a layout, and the plans it makes of well-known networks, pinned: rows, columns, proof bytes.

use zknode_circuit::{
    cost::Cost,
    layout::{Grid, Layout, LayoutError, LayoutOptions},
    network::*,
    plan::{search, Limits, PlanError, Wishes},
};

const LIMITS: Limits = Limits {
    memory: 14_000_000_000,
    gas: 850_000,
    k: 12..=21,
};
const WISHES: Wishes = Wishes {
    k: None,
    lanes: None,
    samples: None,
    grid: None,
    top_k: 5,
};

/// Layers so far and the shape of the last tensor.
struct Stack {
    layers: Vec<Layer>,
    shape: Shape,
}

impl Stack {
    fn new(input: Shape) -> Self {
        Self {
            layers: vec![],
            shape: input,
        }
    }

    fn tensor(&self) -> usize {
        self.layers.len()
    }

    /// A convolution with TensorFlow's SAME padding, added to the tensor `skip` if any.
    fn conv(
        &mut self,
        kernel: usize,
        stride: usize,
        channels: usize,
        groups: usize,
        skip: Option<usize>,
    ) {
        let side = self.shape.height.div_ceil(stride);
        let around = ((side - 1) * stride + kernel).saturating_sub(self.shape.height);
        let padding = Padding {
            top: around / 2,
            left: around / 2,
            bottom: around - around / 2,
            right: around - around / 2,
            value: 0,
        };
        let term =
            |input: usize, kernel: usize, stride: usize, padding: Padding, groups: usize| Term {
                input: TensorId(input),
                kernel: (kernel, kernel),
                stride: (stride, stride),
                padding,
                groups,
            };
        let mut terms = vec![term(self.tensor(), kernel, stride, padding, groups)];
        terms.extend(skip.map(|skip| term(skip, 1, 1, Padding::default(), channels)));
        self.shape = Shape::new(channels, side, side);
        self.linear(terms, Output::Activation);
    }

    fn linear(&mut self, terms: Vec<Term>, output: Output) {
        self.layers.push(Layer::Linear(Linear {
            name: format!("layer {}", self.layers.len()),
            terms,
            shape: self.shape,
            output,
        }));
    }

    fn max_pool(&mut self) {
        self.layers.push(Layer::MaxPool(MaxPool {
            name: "max pool".into(),
            input: TensorId(self.tensor()),
            kernel: (2, 2),
            stride: (2, 2),
            padding: Padding::default(),
        }));
        self.shape = Shape::new(
            self.shape.channels,
            self.shape.height / 2,
            self.shape.width / 2,
        );
    }

    /// Global pooling and a dense layer.
    fn classify(mut self, input: Shape, classes: usize, range_bits: u32) -> Architecture {
        self.layers.push(Layer::SumPool(SumPool {
            name: "over all".into(),
            input: TensorId(self.tensor()),
            kernel: (self.shape.height, self.shape.width),
            stride: (1, 1),
        }));
        let term = Term {
            input: TensorId(self.tensor()),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        };
        self.shape = Shape::new(classes, 1, 1);
        self.linear(vec![term], Output::Logits);
        Architecture {
            input,
            fraction_bits: 8,
            range_bits,
            layers: self.layers,
        }
    }
}

/// MobileNetV2 1.0 at 224x224 (arXiv 1801.04381, table 2), 1,001 classes.
fn mobilenet_v2() -> Architecture {
    let input = Shape::new(3, 224, 224);
    let mut stack = Stack::new(input);
    stack.conv(3, 2, 32, 1, None);
    let blocks = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expansion, channels, repeats, stride) in blocks {
        for repeat in 0..repeats {
            let (from, stride) = (stack.tensor(), if repeat == 0 { stride } else { 1 });
            let skip = (repeat > 0).then_some(from);
            let wide = stack.shape.channels * expansion;
            if expansion > 1 {
                stack.conv(1, 1, wide, 1, None);
            }
            stack.conv(3, stride, wide, wide, None);
            stack.conv(1, 1, channels, 1, skip);
        }
    }
    stack.conv(1, 1, 1280, 1, None);
    stack.classify(input, 1001, 18)
}

/// Two convolutions and a max pooling, three times, on CIFAR-10's images.
fn vgg() -> Architecture {
    let input = Shape::new(3, 32, 32);
    let mut stack = Stack::new(input);
    for channels in [16, 32, 64] {
        stack.conv(3, 1, channels, 1, None);
        stack.conv(3, 1, channels, 1, None);
        stack.max_pool();
    }
    stack.conv(1, 1, 128, 1, None);
    stack.classify(input, 10, 16)
}

#[derive(Debug, PartialEq, Eq)]
struct Pinned {
    k: u32,
    lanes: usize,
    grid: Grid,
    samples: usize,
    lane_rows: usize,
    weight_rows: (usize, usize),
    glue_rows: usize,
    columns: (u64, u64, u64, u64),
    proof_bytes: u64,
}

fn pinned(layout: &Layout) -> Pinned {
    let (options, cost) = (layout.options(), Cost::of(layout));
    Pinned {
        k: options.k,
        lanes: options.lanes,
        grid: options.grid,
        samples: options.samples,
        lane_rows: layout.lane_rows(),
        weight_rows: (layout.weights().end(), layout.weights().columns()),
        glue_rows: layout.glue().end(),
        columns: (
            cost.small_columns,
            cost.full_columns,
            cost.instance_columns,
            cost.fixed_columns,
        ),
        proof_bytes: cost.proof_bytes,
    }
}

#[test]
fn a_large_image_is_cut_into_tiles() {
    let layout = search(&mobilenet_v2(), &WISHES, &LIMITS).unwrap();
    let grid = Grid {
        rows: 7,
        columns: 7,
    };
    let expected = Pinned {
        k: 20,
        lanes: 7,
        grid,
        samples: 1,
        lane_rows: 954_016,
        weight_rows: (922_195, 4),
        glue_rows: 592_840,
        columns: (22, 14, 6, 16),
        proof_bytes: 5_856,
    };
    assert_eq!(pinned(&layout), expected);
}

#[test]
fn small_images_are_batched() {
    let layout = search(&vgg(), &WISHES, &LIMITS).unwrap();
    let found = pinned(&layout);
    assert!(found.samples > 1 && found.k < 20, "{found:?}");
    let cost = Cost::of(&layout);
    assert!(cost.peak_bytes <= LIMITS.memory && cost.gas <= LIMITS.gas);
}

#[test]
fn what_is_wished_for_is_kept() {
    let wishes = Wishes {
        k: Some(20),
        lanes: Some(12),
        samples: Some(12),
        grid: Some(Grid::WHOLE),
        top_k: 3,
    };
    let limits = Limits {
        gas: 2_000_000,
        ..LIMITS
    };
    let layout = search(&vgg(), &wishes, &limits).unwrap();
    let expected = LayoutOptions {
        k: 20,
        lanes: 12,
        samples: 12,
        grid: Grid::WHOLE,
        top_k: 3,
    };
    assert_eq!(layout.options(), &expected);
}

#[test]
fn limits_that_no_layout_meets_are_named_with_the_least_there_is() {
    let network = vgg();
    let refused = |memory, gas| {
        let limits = Limits {
            memory,
            gas,
            ..LIMITS
        };
        search(&network, &WISHES, &limits).unwrap_err()
    };
    let PlanError::Limits { nearest_gas, .. } = refused(u64::MAX, 1) else {
        unreachable!("no proof verifies for one gas");
    };
    assert!(search(
        &network,
        &WISHES,
        &Limits {
            gas: nearest_gas,
            ..LIMITS
        }
    )
    .is_ok());
    assert!(matches!(
        refused(u64::MAX, nearest_gas - 1),
        PlanError::Limits { .. }
    ));
    let text = refused(1, u64::MAX).to_string();
    assert!(text.contains("raise the limits"), "{text}");
    let small = Limits {
        k: 12..=13,
        ..LIMITS
    };
    let error = search(&mobilenet_v2(), &WISHES, &small).unwrap_err();
    assert!(
        matches!(error, PlanError::Layout(LayoutError::Rows { .. })),
        "{error}"
    );
}

#[test]
fn a_grid_that_does_not_fit_is_refused_by_reason() {
    let refusal = |rows, columns, lanes, samples| {
        let options = LayoutOptions {
            k: 20,
            lanes,
            samples,
            grid: Grid { rows, columns },
            top_k: 5,
        };
        Layout::new(mobilenet_v2(), options).unwrap_err()
    };
    assert!(matches!(refusal(0, 7, 7, 1), LayoutError::NoTiles(_)));
    assert!(matches!(refusal(7, 0, 7, 1), LayoutError::NoTiles(_)));
    assert!(matches!(refusal(7, 7, 8, 1), LayoutError::GridLanes { .. }));
    assert!(matches!(
        refusal(7, 7, 7, 2),
        LayoutError::Samples {
            unit: 1,
            exact: true,
            samples: 2
        }
    ));
    assert!(matches!(refusal(8, 7, 7, 1), LayoutError::Grid { .. }));
    assert!(matches!(
        refusal(usize::MAX, 7, 7, 1),
        LayoutError::NoTiles(_)
    ));
    // 14 divides the sides of the first tensors only.
    assert!(matches!(refusal(14, 14, 14, 1), LayoutError::Grid { .. }));
    assert!("7x7".parse::<Grid>().is_ok());
    for text in ["", "7", "0x7", "7x0", "x", "7x7x7", "-1x7"] {
        assert!(text.parse::<Grid>().is_err(), "{text}");
    }
}
