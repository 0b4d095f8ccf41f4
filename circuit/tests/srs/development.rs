//! The development string: equal to what halo2's own setup makes of the same secret, and of the right shape.

use std::sync::atomic::{AtomicU64, Ordering};

use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::SerdeFormat;
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine};
use halo2curves::ff::{Field, PrimeField};
use halo2curves::group::Curve;
use rand::{rngs::StdRng, Error, RngCore, SeedableRng};
use zknode_circuit::srs::{insecure_development_secret, Provenance, Srs, SrsError, MAX_K};

fn quiet(_: u64, _: u64) {}

fn bytes(params: &ParamsKZG<Bn256>) -> Vec<u8> {
    let mut bytes = Vec::new();
    params
        .write_custom(&mut bytes, SerdeFormat::RawBytes)
        .unwrap();
    bytes
}

/// "Random" bytes that make halo2's setup draw the scalar given: its little-endian bytes, then zeros.
struct Drawing(Vec<u8>);

impl RngCore for Drawing {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = if self.0.is_empty() {
                0
            } else {
                self.0.remove(0)
            };
        }
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

#[test]
fn equals_halo2_setup_with_the_same_secret() {
    let tau = insecure_development_secret();
    for k in [1, 6, 12] {
        let theirs = ParamsKZG::<Bn256>::setup(k, Drawing(tau.to_repr().to_vec()));
        let expected = (G2Affine::generator() * tau).to_affine();
        assert_eq!(theirs.s_g2(), expected, "the test draws another secret");
        let ours = Srs::development(k, quiet).unwrap();
        assert!(bytes(ours.params()) == bytes(&theirs), "k = {k}");
    }
}

#[test]
fn passes_its_own_audit_and_says_what_it_is() {
    let srs = Srs::development(10, quiet).unwrap();
    srs.audit(StdRng::seed_from_u64(1)).unwrap();
    assert!(srs.is_development());
    assert_eq!(srs.provenance(), Provenance::Development);
    assert!(srs.to_string().contains("INSECURE"));
    assert!(format!("{srs:?}").contains("INSECURE"));
    let key = srs.verifier_key();
    assert_eq!(key.g1, G1Affine::generator());
    assert_eq!(key.g2, G2Affine::generator());
    assert_eq!(key.s_g2, srs.params().s_g2());
}

#[test]
fn the_secret_does_not_move() {
    assert_eq!(
        hex::encode(insecure_development_secret().to_repr()),
        "94bd186d7c3b0dd14e9c9e6609da9d4f0d3e73b40da3cf61b50385be0a363419"
    );
    assert_ne!(insecure_development_secret(), Fr::ZERO);
}

#[test]
fn progress_reaches_the_end() {
    let most = AtomicU64::new(0);
    let srs = Srs::development(12, |done, total| {
        assert_eq!(total, 2 << 12);
        most.fetch_max(done, Ordering::Relaxed);
    });
    assert_eq!(srs.unwrap().k(), 12);
    assert_eq!(most.into_inner(), 2 << 12);
}

#[test]
fn downsizing_changes_the_domain() {
    let srs = Srs::development(9, quiet).unwrap();
    let small = srs.downsize(5).unwrap();
    let direct = Srs::development(5, quiet).unwrap();
    assert!(bytes(small.params()) == bytes(direct.params()));
    assert!(bytes(srs.downsize(9).unwrap().params()) == bytes(srs.params()));
    assert!(matches!(
        srs.downsize(10),
        Err(SrsError::TooSmall {
            wanted: 10,
            power: 9
        })
    ));
}

#[test]
fn absurd_sizes_are_refused() {
    for k in [0, MAX_K + 1, 64, u32::MAX] {
        let refused = Srs::development(k, quiet);
        assert!(matches!(refused, Err(SrsError::PowerOutOfRange { got }) if got == k));
    }
}
