//! Is the model on offer what the registry says, and will the chain judge its proofs rightly?

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use anyhow::{ensure, Context};
use zknode_circuit::{layout::Layout, srs::Srs, verify::Verifier};
use zknode_protocol::{chain::Chain, digest::points_digest, message::Domain, value::Bytes};

use crate::{
    card::ModelCard,
    home::Home,
    progress::Progress,
    proving_keys::fresh_keys,
    setup,
    testset::SHARD_POINTS,
    verifier_code::{compile, compiler},
};

/// A model whose every claim was checked against the chain and keys made here.
pub struct CheckedModel {
    /// As the seller offers it.
    pub card: ModelCard,
    /// For committing to test sets.
    pub layout: Arc<Layout>,
    /// The same.
    pub srs: Arc<Srs>,
    verifier: OnceLock<Arc<Verifier>>,
}

impl CheckedModel {
    /// What judges proofs; made anew where the model was checked before a restart.
    pub fn verifier(&self, progress: &Progress) -> anyhow::Result<Arc<Verifier>> {
        if let Some(verifier) = self.verifier.get() {
            return Ok(verifier.clone());
        }
        let made = tokio::task::block_in_place(|| {
            fresh_keys(self.srs.clone(), self.layout.clone(), progress)
        })?;
        let made = Arc::new(made.verifier().clone());
        Ok(self.verifier.get_or_init(|| made).clone())
    }
}

/// A model that was checked before the agreement was opened. What the seller did since, such as retiring it, changes
/// nothing for an agreement that is open.
pub fn reopen(
    card: ModelCard,
    chain_id: u64,
    home: &Home,
    progress: &Progress,
) -> anyhow::Result<CheckedModel> {
    let layout = setup::layout(&card.architecture, &card.layout)?;
    let srs = setup::reference_string(home, card.layout.k, Some(chain_id), progress)?;
    Ok(CheckedModel {
        card,
        layout,
        srs,
        verifier: OnceLock::new(),
    })
}

/// Checks a card: the seller's signature, the registry's entry, the model commitment, and, by making the keys and
/// compiling the contract again, that the registered verifier is the one of the architecture the card shows.
pub async fn check<C: Chain>(
    card: ModelCard,
    chain: &C,
    home: &Home,
    compiler_path: Option<&Path>,
    progress: &Progress,
) -> anyhow::Result<CheckedModel> {
    card.seller.check()?;
    let here = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    ensure!(
        card.seller.domain == here,
        "the seller's card is for escrow {} on chain {}, expected {} on chain {}",
        card.seller.domain.escrow,
        card.seller.domain.chain_id,
        here.escrow,
        here.chain_id
    );
    let registered = chain.model(card.model).await?;
    let registered =
        registered.with_context(|| format!("model {} is not in the registry", card.model))?;
    ensure!(
        registered.seller == card.seller.seller,
        "model {} belongs to {}, the card is signed by {}",
        card.model,
        registered.seller,
        card.seller.seller
    );
    ensure!(
        registered.retires_at == 0,
        "model {} is being retired",
        card.model
    );
    let points = points_digest(&card.points);
    ensure!(
        points == registered.points,
        "the card's model commitment has digest {points}, the registry says {}",
        registered.points
    );
    ensure!(
        registered.shard_points == SHARD_POINTS,
        "the registry says that a shard is committed to by {} points, here it is {SHARD_POINTS}",
        registered.shard_points
    );
    let layout = setup::layout(&card.architecture, &card.layout)?;
    // The registry takes any number of points; the verifier would read another one across its arguments.
    let columns = layout.weights().columns();
    ensure!(
        card.points.len() == columns,
        "the card's model commitment has {} points, its layout has {columns} weight columns",
        card.points.len()
    );
    let srs = setup::reference_string(home, card.layout.k, Some(chain.chain_id()), progress)?;
    let compiler = compiler(compiler_path)?;
    let (progress, layout, srs) = (*progress, layout, srs);
    let (keys_srs, keys_layout) = (srs.clone(), layout.clone());
    let (verifier, code) = tokio::task::spawn_blocking(move || {
        let prover = fresh_keys(keys_srs, keys_layout, &progress)?;
        let verifier = prover.verifier();
        let bar = progress.wait("compiling the verifier contract");
        let code = compile(verifier, &compiler)?;
        bar.done();
        Ok::<_, anyhow::Error>((verifier.clone(), code))
    })
    .await??;
    let digest = Bytes(verifier.digest());
    ensure!(
        digest == registered.architecture,
        "the architecture on the card has the verifying key {digest}, the registry says {}: \
         another network, layout or reference string",
        registered.architecture
    );
    ensure!(
        code.hash() == registered.verifier_code,
        "the registered verifier has code hash {}, the one of this architecture {}: \
         it would judge by other rules",
        registered.verifier_code,
        code.hash()
    );
    let live = chain.code_hash(registered.verifier).await?;
    ensure!(
        live == Some(registered.verifier_code),
        "there is other code at the verifier's address {} than at registration",
        registered.verifier
    );
    Ok(CheckedModel {
        card,
        layout,
        srs,
        verifier: OnceLock::from(Arc::new(verifier)),
    })
}
