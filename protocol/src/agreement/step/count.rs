//! The count: claimed, contested, proven.

use super::{ends::deposited, exact_value, require, Case, Outcome};
use crate::{
    agreement::{Mode, RuleError, ShardCount, ShardFacts, State, Terms, Verdict},
    claim_tree::{climb, ClaimError, ShardClaim, SumNode, Sums},
    dataset_root::{verify_path, RootError, ShardLeaf},
    value::{Address, Amount, Hash},
};

impl Case {
    pub(super) fn claim(mut self, node: Hash, top1: u32, topk: u32) -> Outcome {
        self.in_state(&[State::Delivered])?;
        self.in_mode(Mode::Optimistic)?;
        self.only_seller()?;
        self.in_time()?;
        let samples = self.agreement.terms.samples;
        for count in [top1, topk] {
            require(count <= samples, || RuleError::ClaimAboveSamples {
                count,
                samples,
            })?;
        }
        let sums = Sums {
            valid: samples.into(),
            top1: top1.into(),
            topk: topk.into(),
        };
        self.agreement.claim = SumNode { hash: node, sums }.root();
        self.agreement.correct = self.counted(top1, topk);
        let window_end = self
            .now
            .time
            .saturating_add(self.agreement.terms.window.into());
        self.agreement.window_end = window_end;
        self.enter(State::Claimed, window_end);
        self.unpaid()
    }

    pub(super) fn approve(self, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Claimed])?;
        self.signed(self.agreement.buyer, signer)?;
        self.in_time()?;
        self.settled()
    }

    pub(super) fn contest(mut self, index: u32, value: Amount) -> Outcome {
        self.in_state(&[State::Claimed, State::Contested])?;
        self.only_buyer()?;
        self.in_time()?;
        let (deadline, now) = (self.agreement.window_end, self.now.time);
        require(now <= deadline, || RuleError::TooLate { deadline, now })?;
        self.in_range(index)?;
        require(self.agreement.contested.insert(index), || {
            RuleError::ShardAlreadyContested { index }
        })?;
        let terms = self.agreement.terms.clone();
        exact_value(terms.wei(terms.contest_fee), value)?;
        // One deadline for all open contests: a later one prolongs the earlier.
        self.enter(
            State::Contested,
            now.saturating_add(terms.prove_time.into()),
        );
        let effects = deposited(&terms, self.by, terms.contest_fee);
        Ok((self.agreement, effects))
    }

    pub(super) fn answer(mut self, facts: &ShardFacts, proof: Hash, path: &[SumNode]) -> Outcome {
        self.in_state(&[State::Contested])?;
        self.in_time()?;
        let index = facts.shard.index;
        self.in_range(index)?;
        require(self.agreement.contested.contains(&index), || {
            RuleError::ShardNotContested { index }
        })?;
        self.not_proven(index)?;
        self.in_claim(&facts.shard, proof, path)?;
        check_shard(&self.agreement.terms, facts)?;
        self.agreement.proven.insert(index);
        if self.agreement.unanswered().next().is_none() {
            self.enter(State::Claimed, self.agreement.window_end);
        }
        let effects = self.credits(Amount::ZERO, self.agreement.terms.contest_fee);
        Ok((self.agreement, effects))
    }

    pub(super) fn in_claim(
        &self,
        shard: &ShardCount,
        proof: Hash,
        path: &[SumNode],
    ) -> Result<(), RuleError> {
        let claim = ShardClaim {
            count: *shard,
            proof,
        };
        let expected = self.agreement.claim;
        let found = match climb(self.agreement.terms.shards, &claim, path) {
            Ok(root) => root,
            Err(ClaimError::PathLength { expected, got, .. }) => {
                let found = got;
                return Err(RuleError::PathLength { expected, found });
            }
            Err(_) => Hash::ZERO,
        };
        require(found == expected, || RuleError::ShardNotInClaim {
            expected,
            found,
        })
    }

    pub(super) fn prove(mut self, facts: &ShardFacts) -> Outcome {
        self.in_state(&[State::Delivered])?;
        self.in_mode(Mode::Eager)?;
        self.in_time()?;
        let shard = &facts.shard;
        self.in_range(shard.index)?;
        self.not_proven(shard.index)?;
        check_shard(&self.agreement.terms, facts)?;

        let correct = self.counted(shard.top1, shard.topk);
        let agreement = &mut self.agreement;
        agreement.proven.insert(shard.index);
        agreement.valid = agreement.valid.saturating_add(shard.valid.into());
        agreement.correct = agreement.correct.saturating_add(correct);
        let complete = agreement.missing().next().is_none();
        let (expected, found) = (agreement.terms.samples, agreement.valid);
        let fits = if complete {
            found == u64::from(expected)
        } else {
            found <= u64::from(expected)
        };
        require(fits, || RuleError::SamplesMismatch { expected, found })?;
        if complete {
            self.settled()
        } else {
            self.unpaid()
        }
    }
}

/// What makes a shard proof true: the agreed shard, the registered model, the verifier's word.
fn check_shard(terms: &Terms, facts: &ShardFacts) -> Result<(), RuleError> {
    let ShardCount {
        index,
        valid,
        top1,
        topk,
    } = facts.shard;
    for count in [top1, topk] {
        require(count <= valid, || RuleError::CountAboveValid {
            count,
            valid,
        })?;
    }
    belongs(terms, facts)?;
    let (expected, found) = (facts.registered_points, facts.model_points);
    require(found == expected, || RuleError::ModelPointsMismatch {
        expected,
        found,
    })?;
    let (expected, found) = (facts.registered_length, facts.length);
    require(found == usize::from(expected), || {
        RuleError::ShardPointsLength { expected, found }
    })?;
    match facts.verdict {
        Verdict::Accepted => Ok(()),
        Verdict::Rejected => Err(RuleError::ProofRejected { index }),
        Verdict::VerifierChanged { expected, found } => {
            Err(RuleError::VerifierChanged { expected, found })
        }
    }
}

fn belongs(terms: &Terms, facts: &ShardFacts) -> Result<(), RuleError> {
    let leaf = ShardLeaf {
        index: facts.shard.index,
        valid: facts.shard.valid,
        points: facts.shard_points,
    };
    match verify_path(terms.dataset_root, terms.shards, &leaf, &facts.path) {
        Ok(()) => Ok(()),
        Err(RootError::PathLength { expected, got, .. }) => Err(RuleError::PathLength {
            expected,
            found: got,
        }),
        Err(RootError::Mismatch { expected, got, .. }) => Err(RuleError::ShardNotInDataset {
            expected,
            found: got,
        }),
        Err(_) => Err(RuleError::ShardOutOfRange {
            index: leaf.index,
            shards: terms.shards,
        }),
    }
}
