//! A seller and a buyer's account on a chain in memory.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{commitment::Seed, network::model_file, srs::Srs};
use zknode_protocol::{
    agreement::{Metric, Mode, State, Terms},
    chain::{created_contract, fake::FakeChain, journal::Patience, Call, ChainEvent, Contracts},
    dataset_root::{DatasetTree, ShardLeaf},
    digest::keccak,
    message::{DeliveryManifest, Domain, ManifestShard, Offer, SellerCard, Version},
    value::{Address, AgreementId, Bytes, Data, Hash},
};

use super::super::*;
use crate::{
    delivery::{seal, Sample, ShardOpening},
    store::Table,
    testset::{model_points, shard_points},
    tiny,
};

/// The chain's clock at the start.
pub(super) const NOW: u64 = 1_000_000;
pub(super) const BUYER: Address = Bytes([2; 20]);
pub(super) const PATIENCE: Patience = Patience {
    poll: Duration::from_millis(5),
    limit: Duration::from_secs(5),
    depth: 0,
};

/// A seller whose model is registered, and a buyer's account.
pub(super) struct Scene {
    _folder: tempfile::TempDir,
    pub(super) fake: FakeChain,
    pub(super) seller: Arc<Seller<FakeChain>>,
    pub(super) buyer: Wallet<FakeChain>,
    srs: Arc<Srs>,
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::deep(0).await
    }

    /// The same where the seller believes a block under so many others, once it serves.
    pub(super) async fn deep(depth: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("seller")).unwrap();
        let store = Arc::new(Store::open(home.database()).unwrap());
        let mut rng = StdRng::seed_from_u64(1);
        let (network, layout, srs) = (tiny::network(), tiny::layout(), tiny::srs());
        let key = Key::from_secret(&[7; 32]).unwrap();
        let fake = FakeChain::new(31_337, NOW, |_| true);
        for account in [key.address(), BUYER] {
            fake.fund(account, Amount(1 << 60));
        }
        let wallet = Wallet::new(fake.as_account(key.address()), store.clone(), PATIENCE);
        let deploy = async |purpose: &str, call| {
            let receipt = wallet.execute(purpose, &call).await.unwrap();
            created_contract(wallet.chain(), &receipt).await.unwrap()
        };
        let creation_code = Data(vec![1]);
        let verifier = deploy("verifier", Call::DeployVerifier { creation_code }).await;
        let registry = deploy("registry", Call::DeployRegistry).await;
        let escrow = deploy("escrow", Call::DeployEscrow { registry }).await;
        let wallet = wallet.at(Contracts { registry, escrow });
        let file = model_file::write(&network).unwrap();
        let place = (31_337, registry);
        let layout_ = layout.clone();
        let mut own =
            OwnModel::commit(&home, &store, &file, layout_, &srs, place, &mut rng).unwrap();
        let (end, stake) = (String::new(), Amount(1));
        let registered = model::register(
            &wallet,
            &store,
            &mut own,
            Bytes([3; 32]),
            verifier,
            end,
            stake,
        );
        let model = registered.await.unwrap();
        let reading_key = SecretKey::generate(&mut rng);
        let domain = Domain {
            chain_id: 31_337,
            escrow,
        };
        let card = SellerCard {
            version: Version,
            domain,
            seller: key.address(),
            reading_key: Bytes(*reading_key.public_key().as_bytes()),
            signature: Bytes([0; 65]),
        };
        let points = model_points(&own.record.commitment);
        let card = ModelCard::new(card, model, &layout, points);
        let policy = Policy {
            token: Address::ZERO,
            price_per_sample: Amount(1),
            max_bond: Amount(1_000),
            max_samples: 100,
            seconds_per_shard: 10,
            gas_per_shard: Amount(1),
            longest_wait: 10_000,
            shortest_answer: 1,
            least_contest_fee: Amount(0),
            economics: None,
            accuracy: None,
        };
        let chain = fake.as_account(BUYER);
        let chain =
            zknode_protocol::chain::Chain::with_contracts(&chain, wallet.chain().contracts());
        let books = Arc::new(Store::open(folder.path().join("buyer")).unwrap());
        let prover = Prover::new(srs.clone(), layout).unwrap();
        let patience = Patience { depth, ..PATIENCE };
        let contracts = wallet.chain().contracts();
        let wallet = Wallet::new(wallet.chain().clone(), store.clone(), patience).at(contracts);
        let mut places = Places::new(1);
        places.patience = Duration::from_millis(100);
        places.delivery_patience = Duration::from_secs(2);
        Self {
            _folder: folder,
            fake,
            buyer: Wallet::new(chain, books, PATIENCE),
            srs,
            seller: Arc::new(Seller {
                home,
                store,
                wallet,
                key,
                reading_key,
                model: own,
                prover,
                card,
                policy,
                responder: None,
                rounds: None,
                gas_price: Some(Amount(1)),
                progress: Progress::new(),
                output: Output { json: false },
                bell: Bell::default(),
                places,
                max_connections: 1,
                looks: Looks::default(),
                look_time: Duration::ZERO,
                proving: Mutex::default(),
                claim_trees: ClaimTrees::default(),
            }),
        }
    }

    /// Terms about so many samples of one shard under a root: accepted within 100 s, delivered by `deliver_by`.
    pub(super) fn terms(&self, dataset_root: Hash, deliver_by: u64) -> Terms {
        Terms {
            model: self.seller.card.model,
            dataset_root,
            token: Address::ZERO,
            shards: 1,
            samples: 1,
            threshold: 1,
            price: Amount(100),
            bond: Amount(50),
            penalty: Amount(1),
            buyer_bond: Amount(5),
            preview_fee: Amount(0),
            contest_fee: Amount(0),
            accept_by: NOW + 100,
            preview_by: NOW + 101,
            deliver_by,
            claim_by: deliver_by + 1_000,
            metric: Metric::Top1,
            mode: Mode::Optimistic,
            preview_shards: 0,
            response_time: 100,
            window: 100,
            prove_time: 100,
        }
    }

    /// Opens an agreement and tells the seller of it.
    pub(super) async fn open(&self, terms: Terms) -> AgreementId {
        let purpose = format!("open {} {}", terms.dataset_root, terms.deliver_by);
        let call = Call::Open(terms.clone());
        let receipt = self.buyer.execute(&purpose, &call).await.unwrap();
        let opened = receipt.events.iter().find_map(|event| match event {
            ChainEvent::Opened { id, nonce, .. } => Some((*id, *nonce)),
            _ => None,
        });
        let (agreement, nonce) = opened.unwrap();
        let offer = Offer {
            version: Version,
            domain: self.seller.card.seller.domain,
            agreement,
            buyer: BUYER,
            nonce,
            terms,
        };
        let deal = deal::Deal::new(offer);
        let key = agreement.to_string();
        self.seller.store.put(Table::Deals, &key, &deal).unwrap();
        agreement
    }

    /// Sends a call of the buyer's.
    pub(super) async fn send(&self, call: Call) {
        let sent = self.buyer.execute(&format!("{call:?}"), &call).await;
        sent.unwrap();
    }

    /// Serves the seller's interface: at which address.
    pub(super) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = http::routes(self.seller.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    pub(super) async fn state(&self, id: AgreementId) -> State {
        self.buyer.agreement(id).await.unwrap().unwrap().state
    }

    /// The buyer contests the only shard.
    pub(super) async fn contest(&self, id: AgreementId) {
        let call = Call::Contest {
            id,
            index: 0,
            value: Amount(0),
        };
        self.buyer.execute("contest", &call).await.unwrap();
    }

    /// Turn after turn until the agreement is in this state.
    pub(super) async fn until(&self, id: AgreementId, wanted: State) {
        let turns = async {
            while self.state(id).await != wanted {
                self.turn().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, turns).await.unwrap();
    }

    /// One turn of the clerk, which is short.
    pub(super) async fn turn(&self) {
        let turn = clerk_round(&self.seller);
        let turn = tokio::time::timeout(Duration::from_secs(20), turn).await;
        turn.expect("the clerk's turn is short").unwrap();
    }
}

/// One sample, committed.
pub(super) struct TestSet {
    opening: ShardOpening,
    shard: ManifestShard,
    pub(super) root: Hash,
}

impl TestSet {
    pub(super) fn new(scene: &Scene) -> Self {
        let opening = ShardOpening {
            seed: Seed::new([5; 32]),
            samples: vec![Sample {
                pixels: vec![200, 100],
                label: 0,
            }],
        };
        let layout = &scene.seller.model.layout;
        let shard = opening.commit(layout, &scene.srs);
        let points = shard_points(&shard.unwrap().column().commitment());
        let tree = DatasetTree::new(vec![ShardLeaf::new(0, 1, &points)]).unwrap();
        Self {
            opening,
            shard: ManifestShard { valid: 1, points },
            root: tree.root(),
        }
    }

    /// Seals it: the ciphertext, and what comes with it.
    pub(super) fn seal(
        self,
        seller: &Seller<FakeChain>,
        agreement: AgreementId,
    ) -> (Vec<u8>, DeliveryManifest) {
        let mut rng = StdRng::seed_from_u64(2);
        let key = seller.reading_key.public_key();
        let sealed = seal(&[self.opening], key.as_bytes(), &mut rng).unwrap();
        let manifest = DeliveryManifest {
            version: Version,
            agreement,
            ciphertext_hash: keccak(&sealed),
            ciphertext_bytes: sealed.len() as u64,
            shards: vec![self.shard],
        };
        (sealed, manifest)
    }
}
