//! How often a proof was tried. In memory only: whoever starts the node anew tries again.

use std::{collections::HashMap, sync::Mutex};

use thiserror::Error;

use crate::lock::lock;

/// Tries of one proof.
const MOST: u32 = 3;

/// It is not tried again.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("proof {proof:?} failed {MOST} times and is not tried again, the bond is at risk: look at the errors before this one, mend it and start the node anew")]
pub struct GivenUp {
    /// Which.
    pub proof: String,
}

/// Proofs that were begun and not done, with the number of tries.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<String, u32>>);

impl Tries {
    /// Another try.
    pub fn begin(&self, proof: &str) -> Result<(), GivenUp> {
        let mut tries = lock(&self.0);
        let count = tries.entry(proof.to_owned()).or_default();
        if *count >= MOST {
            return Err(GivenUp {
                proof: proof.to_owned(),
            });
        }
        *count += 1;
        Ok(())
    }

    /// It is made.
    pub fn done(&self, proof: &str) {
        lock(&self.0).remove(proof);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_try_is_refused_until_one_succeeds() {
        let tries = Tries::default();
        for _ in 0..MOST {
            assert_eq!(tries.begin("A"), Ok(()));
        }
        let proof = "A".to_owned();
        assert_eq!(tries.begin("A"), Err(GivenUp { proof }));
        assert_eq!(tries.begin("B"), Ok(()));
        tries.done("A");
        assert_eq!(tries.begin("A"), Ok(()));
    }
}
