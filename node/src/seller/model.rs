//! The seller's models: committed with salt, registered on chain, ready to prove.

use std::sync::Arc;

use anyhow::{bail, ensure, Context};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use zknode_circuit::{
    commitment::{CommittedModel, ModelCommitment, OpeningBudget, Seed},
    layout::{Layout, LayoutOptions},
    network::{model_file, Network},
    srs::Srs,
};
use zknode_protocol::{
    chain::{created_contract, Call, Chain, ChainEvent, Registration},
    digest::keccak,
    value::{Address, Amount, Bytes, Data, Hash, ModelId},
};

use crate::{
    home::{read_file, write_bytes, Home},
    store::{Store, Table},
    testset::{model_points, SHARD_POINTS},
    verifier_code::VerifierCode,
    wallet::Wallet,
};

/// Longest model file: weights of any network this program lays out.
const MAX_FILE: u64 = 1 << 31;
/// Openings kept back for whatever is promised: a proof that is interrupted spends one, and is made again.
pub(crate) const SPARE_OPENINGS: u32 = 8;

/// A model the seller committed to. Secret, for its seed: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    version: u16,
    /// Digest of the model file, which lies in the home under this name.
    pub file: Hash,
    /// How its proofs are laid out.
    pub layout: LayoutOptions,
    /// Of the commitment's salt.
    pub seed: Seed,
    /// The commitment.
    pub commitment: ModelCommitment,
    /// Chain and registry it is meant for.
    pub registry: (u64, Address),
    /// Its id, once registered.
    pub model: Option<ModelId>,
}

impl ModelRecord {
    /// What it is stored under, and its opening budget.
    pub fn key(&self) -> String {
        Bytes(self.commitment.digest()).to_string()
    }
}

/// Format of [`ModelRecord`].
const VERSION: u16 = 2;

/// A network with its commitment. Secret: no `Debug`.
pub struct OwnModel {
    /// What is stored.
    pub record: ModelRecord,
    /// The weights.
    pub network: Network,
    /// The opened commitment.
    pub committed: CommittedModel,
    /// Rows and columns.
    pub layout: Arc<Layout>,
}

impl OwnModel {
    /// Commits to a model file's network and stores the commitment, before anybody hears of it. A commitment made
    /// earlier for the same file, layout and registry, and not registered yet, is taken up again.
    pub fn commit(
        home: &Home,
        store: &Store,
        file: &[u8],
        layout: Arc<Layout>,
        srs: &Srs,
        registry: (u64, Address),
        rng: &mut impl RngCore,
    ) -> anyhow::Result<Self> {
        let digest = keccak(file);
        let same = |record: &ModelRecord| {
            record.model.is_none()
                && record.file == digest
                && record.layout == *layout.options()
                && record.registry == registry
        };
        let known = store.all::<ModelRecord>(Table::Models)?;
        if let Some((_, record)) = known.into_iter().find(|(_, record)| same(record)) {
            return Self::load(home, record, layout, srs);
        }
        let network = model_file::read(file)?;
        let seed = Seed::random(rng);
        let committed = CommittedModel::new(&layout, &network, &seed, srs)?;
        let record = ModelRecord {
            version: VERSION,
            file: digest,
            layout: layout.options().clone(),
            seed,
            commitment: committed.commitment(),
            registry,
            model: None,
        };
        write_bytes(&home.model(&digest.to_string()), file)?;
        let key = record.key();
        let budget = OpeningBudget::new(committed.opening_limit());
        store.put(Table::Openings, &key, &budget)?;
        store.put(Table::Models, &key, &record)?;
        Ok(Self {
            record,
            network,
            committed,
            layout,
        })
    }

    /// Reads a stored model and its file again.
    pub fn load(
        home: &Home,
        record: ModelRecord,
        layout: Arc<Layout>,
        srs: &Srs,
    ) -> anyhow::Result<Self> {
        let network = Self::network(home, &record)?;
        let committed = CommittedModel::new(&layout, &network, &record.seed, srs)?;
        ensure!(
            committed.commitment() == record.commitment,
            "the commitment to model {} cannot be opened: its layout or reference string changed",
            record.file
        );
        Ok(Self {
            record,
            network,
            committed,
            layout,
        })
    }

    /// The network of a stored model.
    pub fn network(home: &Home, record: &ModelRecord) -> anyhow::Result<Network> {
        ensure!(
            record.version == VERSION,
            "the stored model has version {}, this build reads {VERSION}",
            record.version
        );
        let path = home.model(&record.file.to_string());
        let file = read_file(&path, MAX_FILE)?;
        ensure!(
            keccak(&file) == record.file,
            "{} is not the file that was committed to; restore it",
            path.display()
        );
        Ok(model_file::read(&file)?)
    }
}

/// Puts a verifier on the chain, once per code.
pub async fn deploy_verifier<C: Chain>(
    wallet: &Wallet<C>,
    code: &VerifierCode,
) -> anyhow::Result<Address> {
    let creation_code = Data(code.creation.clone());
    let purpose = format!("deploy verifier {}", code.hash());
    let receipt = wallet
        .execute(&purpose, &Call::DeployVerifier { creation_code })
        .await?;
    let address = created_contract(wallet.chain(), &receipt).await?;
    let found = wallet.chain().code_hash(address).await?;
    ensure!(
        found == Some(code.hash()),
        "the contract at {address} has code hash {}, expected {}",
        found.unwrap_or_default(),
        code.hash()
    );
    Ok(address)
}

/// Registers a committed model; asked again, gives the same id.
pub async fn register<C: Chain>(
    wallet: &Wallet<C>,
    store: &Store,
    model: &mut OwnModel,
    architecture: Hash,
    verifier: Address,
    endpoint: String,
    stake: Amount,
) -> anyhow::Result<ModelId> {
    if let Some(id) = model.record.model {
        return Ok(id);
    }
    let key = model.record.key();
    let call = Call::Register(Registration {
        architecture,
        verifier,
        points: model_points(&model.record.commitment),
        shard_points: SHARD_POINTS,
        endpoint,
        stake,
    });
    let receipt = wallet.execute(&format!("register {key}"), &call).await?;
    let id = receipt.events.iter().find_map(|event| match event {
        ChainEvent::ModelRegistered { model, .. } => Some(*model),
        _ => None,
    });
    let id = id.context("the registration is in a block, but the registry logged nothing")?;
    model.record.model = Some(id);
    store.put(Table::Models, &key, &model.record)?;
    Ok(id)
}

/// The registered models of this home.
pub fn registered(store: &Store) -> anyhow::Result<Vec<(ModelId, ModelRecord)>> {
    let all = store.all::<ModelRecord>(Table::Models)?.into_iter();
    Ok(all
        .filter_map(|(_, record)| record.model.map(|id| (id, record)))
        .collect())
}

/// The registered model that is wanted; the only one where none is named.
pub fn choose(store: &Store, wanted: Option<Hash>) -> anyhow::Result<(ModelId, ModelRecord)> {
    let mut models = registered(store)?;
    models.retain(|(id, _)| wanted.is_none_or(|wanted| id.0 == wanted));
    match models.len() {
        0 => bail!("there is no such registered model here; use `zknode model register` first"),
        1 => Ok(models.remove(0)),
        several => bail!("{several} models are registered; say which one with --model"),
    }
}

/// Counts one opening of the commitment stored under `key`, before the proof is made.
pub fn spend_opening(store: &Store, key: &str, fresh: OpeningBudget) -> anyhow::Result<()> {
    let spent = store.update(Table::Openings, key, |budget| {
        let mut budget: OpeningBudget = budget.unwrap_or(fresh);
        budget.spend().map(|()| (budget, ()))
    })?;
    Ok(spent?)
}

/// Openings left of a model's commitment.
pub fn openings_left(store: &Store, model: &ModelRecord) -> anyhow::Result<u32> {
    let budget: Option<OpeningBudget> = store.get(Table::Openings, &model.key())?;
    Ok(budget.map_or(0, |budget| budget.left()))
}
