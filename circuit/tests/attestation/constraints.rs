//! Every constraint is needed: for each a lie, that is a false witness, which it alone refuses. Whoever removes or weakens
//! a constraint sees its lie accepted.
//!
//! [`LIES`] is the table of mutations: a test checks that it names every constraint of the circuit, and the copies. Lies
//! are told as far as possible for a count that is not true, and made to fit everywhere but in one place.

use crate::lies::{linear::*, lookup::*, score::*, Lie};
use crate::support::{all_complaints, alone, context, score::Running::*, Case, COPY};
use std::collections::BTreeSet;
use zknode_circuit::{
    attestation::Statement,
    gadget::Shape,
    layout::ClaimColumn::{Accumulator, Activation, Weight, A, B},
};

/// The constraint that alone refuses the lie, what the lie is, and how it is told.
type Row = (&'static str, &'static str, fn() -> Lie);

#[rustfmt::skip]
const LIES: &[Row] = &[
    // lookup
    ("group of fractions", "no clip, made up for by lanes 0 to 2", || no_clip(Some(0), 10)),
    ("group of fractions", "no clip, made up for by lanes 3 to 5", || no_clip(Some(1), 10)),
    ("group of fractions", "no clip, made up for by lanes 6 and 7", || no_clip(Some(2), 10)),
    ("group of fractions", "no clip, made up for by remainders", || no_clip(Some(3), 10)),
    ("running sum", "no clip, and the sum jumps", || no_clip(None, 10)),
    ("running sum is zero at both ends", "no clip, and the sum starts elsewhere", || no_clip(None, 0)),
    ("running sum is zero at both ends", "no clip, and the sum ends elsewhere", || no_clip(None, usize::MAX)),
    // fold
    ("claim of pixels", "other pixels", other_pixels),
    ("claim of activations", "other logits, an activation's claim to fit", || other_logits(Activation, dense_input)),
    ("claim of accumulators", "another first layer, an accumulator's claim to fit", other_first_layer),
    ("claim of activations", "other logits, the claim of an activation pooled over all tiles to fit", summed_to_fit),
    ("claim of activations beside", "another layer, an activation's claim two tiles to the left to fit", || claim_beside(-2)),
    ("claim of activations beside", "another layer, an activation's claim to the left to fit", || claim_beside(-1)),
    ("claim of activations beside", "another layer, an activation's claim to the right to fit", || claim_beside(1)),
    ("claim of activations beside", "another layer, an activation's claim two tiles to the right to fit", || claim_beside(2)),
    // weights
    ("claim of weights", "other logits, a weight's claim to fit", || other_logits(Weight, dense_bias)),
    ("claim of weights", "other logits, the claim of weights over several columns to fit", wide_weights_to_fit),
    ("claim of weights", "another second layer, the claim of a weight alone on its row to fit", narrow_weights_to_fit),
    // glue
    ("horner step", "other logits, the dot product starts to fit", || last_dot(|run| run)),
    ("dot step", "other logits, the dot product ends to fit", || last_dot(|run| run.start..run.start + 1)),
    ("less step", "another second layer, a difference of claims to fit", less_to_fit),
    ("a is the constant", "other logits, the constant 1 to fit", one_to_fit),
    ("b is t or zeta", "accumulators moved between positions, t = 1", t_is_one),
    ("e is eta", "another first layer, eta to fit", eta_to_fit),
    (COPY, "other logits, the sides unequal", sides_unequal),
    (COPY, "other logits, a first operand to fit", || operand(A, B)),
    (COPY, "other logits, a second operand to fit", || operand(B, A)),
    // score: one class of one sample
    ("hot is a bit", "twins 0 and 1 for a sample of label 2: hot -1 and 2", twins_instead),
    ("the hot logit is the label's", "a label logit beyond all", high_label_logit),
    ("label logit stays", "a label logit beyond all but on the label's row", moving_label_logit),
    ("seen counts hot", "a padded sample is seen", || padded_seen(5)),
    ("label sums up", "another label", || other_label(5)),
    ("beats is a bit", "a class that loses counts -1", || beats(false, -1)),
    ("beats is exact", "a class that wins counts 0", || beats(true, 0)),
    ("beats is exact", "a class that loses counts 1", || beats(false, 1)),
    ("rank counts beats", "a rank is lowered", || lower_rank(5)),
    ("total is carried", "valid is raised", || raise(Valid, 3, 2)),
    ("total is carried", "top1 is raised", || raise(Top1, 3, 2)),
    ("total is carried", "topk is raised", || raise(Topk, 3, 2)),
    // score: result of one sample
    ("valid is a bit", "twins 0 and 1 for a sample of label 2: counted twice", counted_twice),
    ("label is the committed one", "other labels", other_labels),
    ("no label, no label logit", "a label logit without a label: counts for nothing, but is free", free_label_logit),
    ("first is a bit", "a first place counts twice", || first(true, 2)),
    ("first is exact", "a first place that is none", || first(false, 1)),
    ("first is exact", "a first place denied", || first(true, 0)),
    ("within is a bit", "a place counts twice", || within(true, 2)),
    ("within is exact", "a place that is none", || within(false, 1)),
    ("within is exact", "a place denied", || within(true, 0)),
    ("total grows by this sample", "valid is raised", || raise(Valid, 4, 0)),
    ("total grows by this sample", "top1 is raised", || raise(Top1, 4, 0)),
    ("total grows by this sample", "topk is raised", || raise(Topk, 4, 0)),
    ("sample starts at zero", "a padded sample is seen", || padded_seen(0)),
    ("sample starts at zero", "a rank is lowered", || lower_rank(0)),
    ("sample starts at zero", "another label", || other_label(0)),
    ("totals start at zero", "valid is raised", || raise(Valid, 0, 0)),
    ("totals start at zero", "top1 is raised", || raise(Top1, 0, 0)),
    ("totals start at zero", "topk is raised", || raise(Topk, 0, 0)),
    // score: claim of the logits
    ("a class joins its sample", "other logits", class_joins),
    ("samples wait", "other logits", samples_wait),
    ("a sample joins the batch", "other logits", || other_logits(Accumulator, |layout| layout.score().start)),
    ("a sample's claim ends", "other logits", sample_ends),
    ("the batch's claim ends", "other logits", batch_ends),
    // score: totals are the statement's
    ("the total shown is public", "another valid", || other_statement(Valid)),
    ("the total shown is public", "another top1", || other_statement(Top1)),
    ("the total shown is public", "another topk", || other_statement(Topk)),
    ("top1 moves up", "another top1 on its way", top1_moves_up),
    ("topk moves up", "another topk on its way", topk_moves_up),
];

#[test]
fn every_constraint_alone_refuses_a_lie() {
    let mut refused = BTreeSet::new();
    for (name, what, tell) in LIES {
        let lie = tell();
        let statement = Statement::new(lie.counts, context(7));
        let complaints = lie.case.complaints(&lie.witness, &statement);
        assert!(
            alone(&complaints, name),
            "{what}: expected {name}, found {complaints:?}"
        );
        refused.extend(complaints);
    }
    for case in [Case::get(), Case::cut()] {
        let all = all_complaints(Shape::from(case.layout()));
        // The number of a gate differs between circuits.
        let name = |complaint: &String| complaint.split(" in gate").next().map(str::to_owned);
        let refused: BTreeSet<_> = refused.iter().map(name).collect();
        let missing: Vec<_> = all.iter().filter(|c| !refused.contains(&name(c))).collect();
        assert!(missing.is_empty(), "no lie for {missing:?}");
    }
}

/// The mock prover is not the verifier: the real one judges every fourth lie.
#[test]
fn the_verifier_refuses_lies() {
    for (_, what, tell) in LIES.iter().step_by(4) {
        let lie = tell();
        lie.case.refuse(what, lie.witness, lie.counts);
    }
}
