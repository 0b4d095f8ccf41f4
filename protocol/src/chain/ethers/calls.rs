//! Call data out, and back.

use ::ethers::{
    abi::{AbiEncode, Token},
    types::{transaction::eip2718::TypedTransaction, NameOrAddress, U256},
    utils::rlp::Rlp,
};

use super::{
    bindings::{escrow as e, registry as r},
    convert::{address, amount, h160, join, malformed, signature_out, Outgoing},
    retrieval,
    rounds::round_out,
};
use crate::{
    agreement::{Metric, Mode, Terms},
    chain::{Call, ChainError, Contracts, ShardProof},
    value::{Amount, Data},
};

/// A call of the registry, the escrow or what stands where the escrow does.
pub(super) fn outgoing(call: &Call, contracts: Contracts) -> Outgoing {
    let Contracts { registry, escrow } = contracts;
    let to_escrow = |data: Vec<u8>| (Some(escrow), Amount::ZERO, data);
    let to_registry = |data: Vec<u8>| (Some(registry), Amount::ZERO, data);
    match call {
        Call::DeployRegistry => (None, Amount::ZERO, r::MODELREGISTRY_BYTECODE.to_vec()),
        Call::DeployEscrow { registry } => {
            let argument = ::ethers::abi::encode(&[Token::Address(h160(*registry))]);
            (
                None,
                Amount::ZERO,
                [e::ESCROW_BYTECODE.to_vec(), argument].concat(),
            )
        }
        Call::DeployVerifier { creation_code } => (None, Amount::ZERO, creation_code.0.clone()),
        Call::Register(registration) => {
            let data = r::RegisterCall {
                architecture: registration.architecture.0,
                verifier: h160(registration.verifier),
                model_points: join(&registration.points),
                shard_points: registration.shard_points,
                endpoint: registration.endpoint.clone(),
            };
            (Some(registry), registration.stake, data.encode())
        }
        Call::Retire(id) => to_registry(r::RetireCall { model_id: id.0 .0 }.encode()),
        Call::WithdrawStake(id) => to_registry(r::WithdrawStakeCall { model_id: id.0 .0 }.encode()),
        Call::ApproveToken { token, amount } => {
            // approve(address,uint256), EIP-20.
            let arguments = ::ethers::abi::encode(&[
                Token::Address(h160(escrow)),
                Token::Uint(amount.0.into()),
            ]);
            (
                Some(*token),
                Amount::ZERO,
                [vec![0x09, 0x5e, 0xa7, 0xb3], arguments].concat(),
            )
        }
        Call::Open(terms) => {
            let data = e::OpenCall {
                terms: terms_out(terms),
            }
            .encode();
            // Terms whose deposit exceeds 2^128 are refused by the contract for the missing wei.
            let deposit = terms.deposit().unwrap_or_default();
            (Some(escrow), terms.wei(deposit), data)
        }
        Call::Accept { id, value } => {
            (Some(escrow), *value, e::AcceptCall { id: id.0 .0 }.encode())
        }
        Call::Cancel(id) => to_escrow(e::CancelCall { id: id.0 .0 }.encode()),
        Call::Draw(id) => to_escrow(e::DrawCall { id: id.0 .0 }.encode()),
        Call::Send { id, ciphertext } => to_escrow(
            e::SendCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
            }
            .encode(),
        ),
        Call::Proceed {
            id,
            ciphertext,
            signature,
        } => to_escrow(
            e::ProceedCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        Call::Acknowledge {
            id,
            ciphertext,
            signature,
        } => to_escrow(
            e::AcknowledgeCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        Call::Decline(id) => to_escrow(e::DeclineCall { id: id.0 .0 }.encode()),
        Call::Deny(id) => to_escrow(e::DenyCall { id: id.0 .0 }.encode()),
        Call::Claim {
            id,
            node,
            top1,
            topk,
        } => to_escrow(
            e::ClaimCall {
                id: id.0 .0,
                node: node.0,
                top_1: *top1,
                topk: *topk,
            }
            .encode(),
        ),
        Call::Approve { id, signature } => to_escrow(
            e::ApproveCall {
                id: id.0 .0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        Call::Contest { id, index, value } => {
            let (id, index) = (id.0 .0, *index);
            let data = e::ContestCall { id, index }.encode();
            (Some(escrow), *value, data)
        }
        Call::Answer { proof, path } => to_escrow(
            e::AnswerCall {
                id: proof.id.0 .0,
                shard_proof: shard_proof_out(proof),
                path: path
                    .iter()
                    .map(|node| e::Node {
                        hash: node.hash.0,
                        sums: U256::from_big_endian(&node.sums_word()),
                    })
                    .collect(),
            }
            .encode(),
        ),
        Call::ProveShard(proof) => to_escrow(
            e::ProveShardCall {
                id: proof.id.0 .0,
                shard_proof: shard_proof_out(proof),
            }
            .encode(),
        ),
        Call::Expire(id) => to_escrow(e::ExpireCall { id: id.0 .0 }.encode()),
        Call::Retrieval(call) => retrieval::outgoing(call, escrow),
        Call::Withdraw { token } => to_escrow(
            e::WithdrawCall {
                token: h160(*token),
            }
            .encode(),
        ),
        Call::Round(call) => round_out(call, escrow),
        // To oneself: the adapter knows who that is.
        Call::Nothing => (None, Amount::ZERO, Vec::new()),
    }
}

fn shard_proof_out(proof: &ShardProof) -> e::ShardProof {
    e::ShardProof {
        shard: e::Shard {
            index: proof.shard.index,
            valid: proof.shard.valid,
            top_1: proof.shard.top1,
            topk: proof.shard.topk,
        },
        model_points: join(&proof.model_points),
        shard_points: join(&proof.shard_points),
        merkle_proof: proof.path.iter().map(|hash| hash.0).collect(),
        proof: proof.proof.0.clone().into(),
    }
}

fn terms_out(terms: &Terms) -> e::Terms {
    e::Terms {
        model_id: terms.model.0 .0,
        dataset_root: terms.dataset_root.0,
        token: h160(terms.token),
        shards: terms.shards,
        samples: terms.samples,
        threshold: terms.threshold,
        price: terms.price.0,
        buyer_bond: terms.buyer_bond.0,
        bond: terms.bond.0,
        penalty: terms.penalty.0,
        preview_fee: terms.preview_fee.0,
        contest_fee: terms.contest_fee.0,
        accept_by: terms.accept_by,
        preview_by: terms.preview_by,
        deliver_by: terms.deliver_by,
        claim_by: terms.claim_by,
        metric: match terms.metric {
            Metric::Top1 => 0,
            Metric::TopK => 1,
        },
        mode: match terms.mode {
            Mode::Optimistic => 0,
            Mode::Eager => 1,
        },
        preview_shards: terms.preview_shards,
        response_time: terms.response_time,
        window: terms.window,
        prove_time: terms.prove_time,
    }
}

/// Where a signed transaction goes, the wei it sends and its data.
pub(super) fn signed_in(raw: &Data) -> Result<Outgoing, ChainError> {
    let what = "a signed transaction";
    let (transaction, _) = TypedTransaction::decode_signed(&Rlp::new(&raw.0))
        .map_err(|error| malformed(what, error))?;
    let to = match transaction.to() {
        None => None,
        Some(NameOrAddress::Address(to)) => Some(address(*to)),
        Some(NameOrAddress::Name(_)) => return Err(malformed(what, "a name for an address")),
    };
    let value = amount(what, transaction.value().copied().unwrap_or_default())?;
    let data = transaction.data().map(|data| data.to_vec());
    Ok((to, value, data.unwrap_or_default()))
}
