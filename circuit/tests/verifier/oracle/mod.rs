//! snark-verifier as a third judge: written by others, reads the same transcript.
//!
//! It is laxer than ours in two respects that the tests allow for: it reads a proof as a stream, so trailing bytes go
//! unnoticed, and it may reduce a scalar that is not canonical.

use halo2_proofs::poly::commitment::{Blind, Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2_proofs::poly::{LagrangeCoeff, Polynomial};
use halo2curves::bn256::{Bn256, Fr, G1Affine, G1};
use halo2curves::group::GroupEncoding;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::pcs::kzg::{Bdfg21, KzgAs, KzgDecidingKey, KzgSuccinctVerifyingKey};
use snark_verifier::pcs::AccumulationDecider;
use snark_verifier::system::halo2::transcript::evm::EvmTranscript;
use snark_verifier::system::halo2::{compile, Config};
use snark_verifier::util::transcript::Transcript;
use snark_verifier::verifier::plonk::{PlonkProtocol, PlonkSuccinctVerifier};
use snark_verifier::verifier::SnarkVerifier;
use std::io;

use crate::fixture::Proven;

type Scheme = KzgAs<Bn256, Bdfg21>;
/// The native transcript over some stream.
pub type Stream<S> = EvmTranscript<G1Affine, NativeLoader, S, Vec<u8>>;

/// Whether snark-verifier accepts `proof` for the statement made by these commitments.
pub fn accepts(case: &Proven, statement: &[G1Affine], proof: &[u8]) -> bool {
    let params = Renamed(case.params.clone());
    let config = Config::kzg()
        .set_query_instance(true)
        .with_num_instance(vec![0; statement.len()]);
    let mut protocol: PlonkProtocol<G1Affine> = compile(&params, case.pk.get_vk(), config);
    // To snark-verifier a commitment that comes with the statement is a preprocessed polynomial.
    protocol.preprocessed.extend(statement);
    protocol.num_instance = vec![];
    protocol.instance_committing_key = None;
    let digest = protocol.transcript_initial_state.take().unwrap();
    let mut transcript = Stream::new(proof);
    Transcript::<G1Affine, NativeLoader>::common_scalar(&mut transcript, &digest).unwrap();
    for point in statement {
        if Transcript::<G1Affine, NativeLoader>::common_ec_point(&mut transcript, point).is_err() {
            return false;
        }
    }
    let succinct = KzgSuccinctVerifyingKey::<G1Affine>::from(case.params.get_g()[0]);
    let decider = KzgDecidingKey::<Bn256>::new(succinct, case.params.g2(), case.params.s_g2());
    let Ok(proof) =
        PlonkSuccinctVerifier::<Scheme>::read_proof(&succinct, &protocol, &[], &mut transcript)
    else {
        return false;
    };
    match PlonkSuccinctVerifier::<Scheme>::verify(&succinct, &protocol, &[], &proof) {
        Ok(accumulators) => accumulators
            .into_iter()
            .all(|accumulator| Scheme::decide(&decider, accumulator).is_ok()),
        Err(_) => false,
    }
}

/// The parameters behind a serialization that `compile` understands: it looks for an instance-committing key in it,
/// which is not used here.
#[derive(Clone, Debug)]
struct Renamed(ParamsKZG<Bn256>);

impl<'params> Params<'params, G1Affine> for Renamed {
    type MSM = <ParamsKZG<Bn256> as Params<'params, G1Affine>>::MSM;

    fn k(&self) -> u32 {
        self.0.k()
    }

    fn n(&self) -> u64 {
        self.0.n()
    }

    fn downsize(&mut self, _: u32) {}

    fn empty_msm(&'params self) -> Self::MSM {
        self.0.empty_msm()
    }

    fn commit_lagrange(&self, column: &Polynomial<Fr, LagrangeCoeff>, blind: Blind<Fr>) -> G1 {
        self.0.commit_lagrange(column, blind)
    }

    fn write<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        let generator = self.0.get_g()[0].to_bytes();
        writer.write_all(&[0; 4])?;
        writer.write_all(&vec![0; 64 << self.0.k()])?;
        writer.write_all(generator.as_ref())?;
        writer.write_all(generator.as_ref())
    }

    fn read<R: io::Read>(_: &mut R) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
