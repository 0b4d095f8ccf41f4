//! `zknode seller`

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{bail, ensure, Context};
use clap::{Args, Subcommand};
use rand::rngs::OsRng;
use tokio::{net::TcpListener, sync::Mutex};
use zknode_circuit::{layout::Layout, prove::Prover, srs::Srs};
use zknode_protocol::{
    chain::{ethers::EthersChain, Chain, Kind},
    message::{Domain, SellerCard, Version},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::{value, Party, Session};
use crate::{
    card::ModelCard,
    claim_trees::ClaimTrees,
    config::ChainConfig,
    corpus::{CorpusFile, OwnCorpus},
    costs::answer_gas,
    keys,
    output::Answer,
    progress::Progress,
    proving_keys,
    retrieval::{desk::Desk, policy::RetrievalPolicy, responder::Responder, tries::Tries},
    seller::{
        event::Event,
        look::Looks,
        model::{choose, OwnModel},
        places::Places,
        policy::{Economics, Policy},
        promises::{self, Offered, Unkept},
        rounds::{
            policy::{LeastFee, RoundPolicy},
            Gate, Rounds,
        },
        serve, Bell, Seller,
    },
    setup,
    testset::model_points,
    wallet::Wallet,
};

#[derive(Subcommand)]
pub enum SellerCommand {
    /// Offers a registered model over HTTP, accepts agreements, proves and is paid.
    Serve(Box<Serve>),
}

#[derive(Args)]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7711")]
    listen: SocketAddr,
    /// Most connections at once; others wait. One whose first request does not come in 15 seconds, or that moves less than
    /// 16 KiB of a request or an answer in two minutes, is closed.
    #[arg(long, default_value_t = 256, value_parser = value::count)]
    max_connections: usize,
    /// Most requests for proofs that are looked up at once, most deliveries that are received at once, and most looks at the
    /// chain for others; who waits too long for a place is told to come back (503).
    #[arg(long, default_value_t = 8, value_parser = value::count)]
    max_requests: usize,
    /// Which registered model [default: the only one].
    #[arg(long)]
    model: Option<Hash>,
    /// Answer retrievals about this corpus too, made by `zknode corpus commit`.
    #[arg(long, value_name = "FILE")]
    corpus: Option<PathBuf>,
    /// Least price of a matching item of the corpus.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    price_per_item: Amount,
    /// Least fee for each item that is looked at.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    fee_per_scan: Amount,
    /// Least that a false rejection of items must cost the requester; half of what all items may cost is asked for anyway.
    #[arg(long, default_value = "1", value_parser = value::amount)]
    least_requester_bond: Amount,
    /// Be paid in this ERC-20 token, amounts in its least unit [default: ether].
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// Least price of a sample.
    #[arg(long, value_parser = value::amount)]
    price_per_sample: Amount,
    /// Largest bond to put at stake.
    #[arg(long, default_value = "1ether", value_parser = value::amount)]
    max_bond: Amount,
    /// Most samples in one agreement.
    #[arg(long, default_value_t = 100_000)]
    max_samples: u32,
    /// Wei to keep in the account for bringing each promised shard's proof to the chain (about 1,000,000 gas).
    #[arg(long, default_value = "0.02ether", value_parser = value::amount)]
    gas_per_shard: Amount,
    /// Longest wait for a test set, the bond locked.
    #[arg(long, default_value = "7d", value_parser = value::duration)]
    longest_wait: std::time::Duration,
    /// Time to ask for, for each shard's proof.
    #[arg(long, default_value = "3m", value_parser = value::at_least(1))]
    time_per_shard: std::time::Duration,
    /// Least time to answer on chain what a buyer sends or contests.
    #[arg(long, default_value = "5m", value_parser = value::duration)]
    shortest_answer: std::time::Duration,
    /// Also answer predictions, for at least this much a batch; needs `zknode contract predictions` first.
    #[arg(long, value_name = "AMOUNT", value_parser = value::amount)]
    price_per_batch: Option<Amount>,
    /// Most batches in one round of predictions: all of them may be contested.
    #[arg(long, default_value_t = 100)]
    max_batches: u32,
    /// Longest time that the bond of a round may be locked.
    #[arg(long, default_value = "7d", value_parser = value::duration)]
    longest_lock: std::time::Duration,
    /// Time before the end of a round at which to stop serving and close it.
    #[arg(long, default_value = "5m", value_parser = value::at_least(30))]
    close_before: std::time::Duration,
    /// Least fee for bringing a contested proof to the chain [default: what its gas costs, about 900,000 units, or 0 with
    /// --accept-risk].
    #[arg(long, value_parser = value::amount)]
    least_contest_fee: Option<Amount>,
    /// How accurate the model is. A test set on which it does worse than it would once in a thousand is denied: the buyer
    /// loses its bond [default: the fault is taken for the model's].
    #[arg(long, value_parser = value::share)]
    accuracy: Option<u32>,
    /// What proving costs, a sample.
    #[arg(long, default_value = "1gwei", value_parser = value::amount)]
    proof_cost: Amount,
    /// What a plain inference costs.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    inference_cost: Amount,
    /// What gas costs, in the money it is paid in [default: what the chain asks now].
    #[arg(long, value_parser = value::amount)]
    gas_price: Option<Amount>,
    /// Accept agreements even if their terms leave a buyer a reason to cheat.
    #[arg(long)]
    accept_risk: bool,
    /// Start even if something was accepted that this node would not see to: an agreement or a round about another model, a
    /// retrieval about another corpus. Its bond is lost.
    #[arg(long)]
    abandon_promises: bool,
}

impl SellerCommand {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let Self::Serve(arguments) = self;
        arguments.run(session).await
    }
}

impl Serve {
    async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        if self.accept_risk {
            session.progress.say(
                "warning, the risk is accepted: nobody looks whether a buyer gains by cheating",
            );
        } else if let (Some(token), None) = (self.token, self.gas_price) {
            bail!("what does gas cost in {token}? say it with --gas-price, or use --accept-risk");
        }
        let party = session.party().await?;
        ensure!(
            self.price_per_batch.is_none() || party.predictions.is_some(),
            "no predictions contract is known: run `zknode contract predictions` first"
        );
        let (model, record) = choose(&party.store, self.model)?;
        let chain = party.wallet.chain();
        let here = (chain.chain_id(), chain.contracts().registry);
        if record.registry != here {
            bail!(
                "model {model} was registered with registry {} on chain {}, this home now uses {} on chain {}",
                record.registry.1, record.registry.0, here.1, here.0
            );
        }
        let network = OwnModel::network(&party.home, &record)?;
        let layout = setup::layout(network.architecture(), &record.layout)?;
        let k = layout.options().k;
        let chain_id = Some(chain.chain_id());
        let srs = setup::reference_string(&party.home, k, chain_id, &session.progress)?;
        let own = OwnModel::load(&party.home, record, layout.clone(), &srs)?;
        let prover =
            proving_keys::keys(&party.home, srs.clone(), layout.clone(), &session.progress)?;
        check_registered(&party, model, &prover).await?;
        let responder = self.responder(&party, layout, srs).await?;
        self.check_promises(&party, model, responder.as_ref(), &session.progress)
            .await?;
        let reading_key = keys::reading_key(&party.home, &mut OsRng)?;
        let card = card(&party, model, &own, *reading_key.public_key().as_bytes())?;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        let answer_gas = answer_gas(prover.layout());
        let url = format!("http://{}", listener.local_addr()?);
        let up = Event::Listening { url, model };
        session.output().print(&up, up.to_string())?;
        let Party {
            home,
            store,
            key,
            wallet,
            predictions,
        } = party;
        let rounds = match predictions {
            Some(contract) => {
                let rounds = self.rounds(wallet.over(contract), answer_gas).await?;
                if let Some(policy) = &rounds.policy {
                    let rule = policy.least_contest_fee.rule();
                    let words = format!("rounds of predictions: the least contest fee is {rule}");
                    session.progress.say(words);
                }
                Some(rounds)
            }
            None => None,
        };
        let mut seller = Seller {
            home,
            store,
            wallet,
            key,
            reading_key,
            model: own,
            prover,
            card,
            policy: Policy {
                token: self.token.unwrap_or(Address::ZERO),
                price_per_sample: self.price_per_sample,
                max_bond: self.max_bond,
                max_samples: self.max_samples,
                seconds_per_shard: self.time_per_shard.as_secs(),
                gas_per_shard: self.gas_per_shard,
                longest_wait: self.longest_wait.as_secs(),
                shortest_answer: self.shortest_answer.as_secs(),
                // What the gas costs is among the reasons that are judged.
                least_contest_fee: self.least_contest_fee.unwrap_or_default(),
                economics: (!self.accept_risk).then_some(Economics {
                    proof: self.proof_cost,
                    inference: self.inference_cost,
                    answer_gas,
                }),
                accuracy: self.accuracy,
            },
            responder,
            rounds,
            gas_price: self.gas_price,
            progress: session.progress,
            output: session.output(),
            bell: Bell::default(),
            places: Places::new(self.max_requests),
            max_connections: self.max_connections,
            looks: Looks::default(),
            look_time: Duration::ZERO,
            proving: Mutex::default(),
            claim_trees: ClaimTrees::default(),
        };
        seller.look_time = tokio::task::block_in_place(|| seller.measure_look())?;
        serve(seller, listener, async {
            // Without signals there is only kill, which is as good.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
        Ok(Answer::Yes)
    }
}

impl Serve {
    /// What it takes to answer retrievals, if a corpus is named.
    async fn responder(
        &self,
        party: &Party,
        layout: Arc<Layout>,
        srs: Arc<Srs>,
    ) -> anyhow::Result<Option<Responder<EthersChain>>> {
        let Some(path) = &self.corpus else {
            return Ok(None);
        };
        let corpus = OwnCorpus::open(CorpusFile::read(path)?, layout, srs)?;
        let config = ChainConfig::load(&party.home)?;
        let wallet = party.wallet.at(config.retrieval_contracts()?);
        wallet.chain().check_contracts(Kind::Retrieval).await?;
        Ok(Some(Responder {
            desk: Desk::new(&corpus.published.manifest)?,
            tries: Tries::default(),
            corpus,
            wallet,
            policy: RetrievalPolicy {
                price_per_item: self.price_per_item,
                fee_per_scan: self.fee_per_scan,
                requester_bond: self.least_requester_bond,
            },
        }))
    }

    /// Refuses to start where bonds would be lost by that, unless they are given up: then each is named.
    async fn check_promises(
        &self,
        party: &Party,
        model: ModelId,
        responder: Option<&Responder<EthersChain>>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let corpus = responder.map(|responder| {
            let contract = responder.domain().contract;
            (contract, responder.corpus.published.root)
        });
        let offered = Offered {
            model,
            predictions: party.predictions,
            corpus,
        };
        let unkept = promises::unkept(&party.store, &party.wallet, &offered).await?;
        if !unkept.is_empty() && !self.abandon_promises {
            return Err(Unkept(unkept).into());
        }
        for promise in unkept {
            progress.say(format!("warning, abandoned: {promise}"));
        }
        Ok(())
    }

    /// The predictions side, over a contract that was looked at.
    async fn rounds<C: Chain>(
        &self,
        wallet: Wallet<C>,
        answer_gas: u128,
    ) -> anyhow::Result<Rounds<C>> {
        wallet.chain().check_contracts(Kind::Predictions).await?;
        let least_contest_fee = match self.least_contest_fee {
            Some(fee) => LeastFee::Named(fee),
            None if self.accept_risk => LeastFee::Named(Amount::ZERO),
            None => LeastFee::Cost { gas: answer_gas },
        };
        let policy = self.price_per_batch.map(|price_per_batch| RoundPolicy {
            token: self.token.unwrap_or(Address::ZERO),
            price_per_batch,
            max_bond: self.max_bond,
            max_batches: self.max_batches,
            seconds_per_proof: self.time_per_shard.as_secs(),
            gas_per_proof: self.gas_per_shard,
            longest_lock: self.longest_lock.as_secs(),
            shortest_answer: self.shortest_answer.as_secs(),
            least_contest_fee,
        });
        Ok(Rounds {
            wallet,
            policy,
            close_before: self.close_before.as_secs(),
            gate: Gate::default(),
        })
    }
}

/// What is on chain must be what this build proves: else every proof would be refused, and every bond lost.
async fn check_registered(party: &Party, model: ModelId, prover: &Prover) -> anyhow::Result<()> {
    let chain = party.wallet.chain();
    let registered = chain.model(model).await?;
    let registered = registered.with_context(|| format!("model {model} is not in the registry"))?;
    let digest = Bytes(prover.verifier().digest());
    ensure!(
        digest == registered.architecture,
        "this build makes proofs for the verifying key {digest}, model {model} is registered with {}: \
         use the release that registered it, or register it again",
        registered.architecture
    );
    let live = chain.code_hash(registered.verifier).await?;
    ensure!(
        live == Some(registered.verifier_code),
        "there is other code at the verifier's address {} than at registration",
        registered.verifier
    );
    Ok(())
}

fn card(
    party: &Party,
    model: ModelId,
    own: &OwnModel,
    reading_key: [u8; 32],
) -> anyhow::Result<ModelCard> {
    let chain = party.wallet.chain();
    let domain = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    let (seller, reading_key) = (party.key.address(), Bytes(reading_key));
    let signature = party
        .key
        .sign(domain.reading_key_digest(seller, reading_key))?;
    let seller = SellerCard {
        version: Version,
        domain,
        seller,
        reading_key,
        signature,
    };
    let points = model_points(&own.record.commitment);
    Ok(ModelCard::new(seller, model, &own.layout, points))
}
