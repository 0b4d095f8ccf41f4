//! Cheating where images are cut into tiles: false tensors that are consistent in everything but the linear layers and the
//! max poolings, each refused.

use crate::support::{context, nets, Case};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    attestation::Statement,
    layout::Grid,
    network::{Layer, Trace},
    witness::lanes::Lanes,
};

fn refused(case: &Case, what: &str, forge: impl Fn(&mut Vec<Trace>)) {
    let mut traces = case.traces();
    forge(&mut traces);
    let (lanes, counts) = Lanes::from_traces(case.layout(), &case.samples(), &traces);
    let statement = Statement::new(counts, context(7));
    let complaints = case.complaints(&case.witness(lanes), &statement);
    assert!(!complaints.is_empty(), "{what}: the constraints hold");
}

/// The smallest change that leaves the remainder in its range.
fn nudge(cell: &mut i64) -> i64 {
    let by = if *cell & 1 == 0 { 1 } else { -1 };
    *cell += by;
    by
}

#[test]
fn no_cell_of_any_layer_can_be_moved() {
    for case in [Case::cut(), &Case::pooled()] {
        let samples = case.layout().options().samples;
        let honest = case.traces();
        let committing = case.layout().architecture().layers.iter();
        let committing: Vec<_> = committing
            .enumerate()
            .filter(|(_, layer)| layer.committed() > 0)
            .map(|(index, _)| index + 1)
            .collect();
        for (layer, &tensor) in committing.iter().enumerate() {
            let cells = honest[0].accumulators[layer].len();
            let shape = case.layout().shapes()[tensor];
            for cell in [
                0,
                shape.width - 1,
                shape.positions() - 1,
                cells / 2,
                cells - 1,
            ] {
                for n in 0..samples {
                    refused(
                        case,
                        &format!("cell {cell} of tensor {tensor}, sample {n}"),
                        |t| {
                            nudge(&mut t[n].accumulators[layer][cell]);
                        },
                    );
                }
            }
            refused(
                case,
                &format!("tensor {tensor}, from one sample to another"),
                |t| {
                    let by = nudge(&mut t[0].accumulators[layer][0]);
                    t[1].accumulators[layer][0] -= by;
                },
            );
            refused(
                case,
                &format!("tensor {tensor}, from one tile to the next"),
                |t| {
                    let width = shape.width;
                    let tile = width / case.layout().options().grid.columns;
                    let by = nudge(&mut t[0].accumulators[layer][0]);
                    t[0].accumulators[layer][tile] -= by;
                },
            );
            refused(
                case,
                &format!("tensor {tensor}, from one row of tiles to the next"),
                |t| {
                    let tile = shape.height / case.layout().options().grid.rows * shape.width;
                    let by = nudge(&mut t[0].accumulators[layer][0]);
                    t[0].accumulators[layer][tile] -= by;
                },
            );
        }
    }
}

#[test]
fn a_max_pooling_takes_the_greatest_and_nothing_else() {
    let case = Case::pooled();
    let layers = case.layout().architecture().layers.iter().enumerate();
    let (pool, _) = layers
        .clone()
        .find(|(_, layer)| matches!(layer, Layer::MaxPool(_)))
        .unwrap();
    let entry = layers
        .take(pool)
        .filter(|(_, layer)| matches!(layer, Layer::Linear(_) | Layer::MaxPool(_)))
        .count();
    let one = 1 << case.layout().architecture().fraction_bits;
    // A step that is not taken, and one that is taken too far.
    let steps = case.traces()[0].accumulators[entry].clone();
    let up = steps.iter().position(|&step| step > 0).unwrap();
    refused(&case, "a step is not taken", |t| {
        t[0].accumulators[entry][up] = 0
    });
    refused(&case, "a step is taken too far", |t| {
        t[0].accumulators[entry][up] += one
    });
    let down = steps.iter().position(|&step| step < 0).unwrap();
    refused(&case, "a lesser cell is preferred", |t| {
        t[0].accumulators[entry][down] = one;
    });
}

#[test]
fn the_verifier_and_the_contract_refuse_a_forged_tile() {
    let case = Case::cut();
    let mut traces = case.traces();
    nudge(&mut traces[0].accumulators[1][5]);
    let (lanes, counts) = Lanes::from_traces(case.layout(), &case.samples(), &traces);
    case.refuse("a tile forged", case.witness(lanes), counts);
    // Samples in one row of the lanes, swapped.
    let mut traces = case.traces();
    traces.swap(0, 1);
    let (lanes, counts) = Lanes::from_traces(case.layout(), &case.samples(), &traces);
    case.refuse("samples swapped", case.witness(lanes), counts);
}

#[test]
fn the_fixtures_reach_into_all_neighbours() {
    assert_eq!(Case::cut().layout().reach().left, 2);
    assert_eq!(Case::cut().layout().reach().right, 2);
    assert_ne!(nets::CUT, Grid::WHOLE);
    let network = nets::pooled_net(&mut StdRng::seed_from_u64(1));
    assert!(network.architecture().has_max_pool());
}
