//! Activations that are no clip of their accumulators.

use super::{other_net, run, Lie};
use crate::support::Case;
use halo2_proofs::halo2curves::bn256::Fr;
use std::sync::Arc;

/// The activations of another second layer beside the accumulators of this one. What the running sum should not end
/// with is taken off it from a row on, and of the fractions of a group, if any, on the row before.
pub fn no_clip(group: Option<usize>, from: usize) -> Lie {
    let case = Case::get();
    let layout = case.prover.layout().clone();
    let (honest, _) = case.honest();
    let (mut lanes, counts) = run(case, &case.with_layer(1, &other_net()));
    for j in 0..layout.options().lanes {
        let rows = layout.activation_start(2).unwrap()..layout.lane_rows();
        lanes.q[j][rows.clone()].copy_from_slice(&honest.q[j][rows.clone()]);
        lanes.r[j][rows.clone()].copy_from_slice(&honest.r[j][rows]);
    }
    lanes.count_lookups(&layout);
    Lie::new(case, (lanes, counts)).altered(Arc::new(move |claims| {
        let last = layout.last();
        let excess = claims.sum[last];
        assert_ne!(excess, Fr::zero());
        for sum in claims.sum[..=last].iter_mut().skip(from) {
            *sum -= excess;
        }
        if let Some(group) = group {
            claims.fractions[group][from - 1] -= excess;
        }
    }))
}
