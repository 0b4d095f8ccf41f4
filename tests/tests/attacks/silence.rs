//! Each party silent from each state on, for good: the other one does what it still can, time does the rest, and the
//! money goes where `contracts/agreement.json` says. Played by contract calls; by real nodes in `deadlines.rs`.

use serde_json::Value;
use zknode::card::shard_claim;
use zknode_circuit::verify::Attestation;
use zknode_protocol::{
    agreement::{Mode, State},
    chain::{Call, Chain},
    claim_tree::{ClaimTree, ShardClaim},
    digest::keccak,
    value::{Address, AgreementId, Hash},
};
use zknode_tests::{
    hands::Hands,
    lab::{
        accept, contest, Lab, TestSet, BOND, BUYER_BOND, CONTEST_FEE, PENALTY, PREVIEW_FEE, PRICE,
    },
    tiny::labelled,
};

use crate::page::renew;

/// Who says nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silent {
    Seller,
    Buyer,
}

/// States in which somebody can fall silent.
const STATES: [State; 9] = [
    State::Open,
    State::Accepted,
    State::Drawn,
    State::PreviewSent,
    State::Previewed,
    State::RestSent,
    State::Delivered,
    State::Claimed,
    State::Contested,
];

struct Play<'a> {
    lab: &'a Lab,
    set: &'a TestSet,
    stranger: &'a Hands,
    id: AgreementId,
    /// Of both shards; bound to this agreement where one is brought to the chain.
    proven: Vec<Attestation>,
}

impl Play<'_> {
    fn leaves(&self) -> Vec<ShardClaim> {
        let leaves = (0..).zip(&self.proven);
        leaves
            .map(|(index, proven)| shard_claim(index, proven))
            .collect()
    }

    /// The other one's best move, if it has one.
    async fn moves(&self, state: State, silent: Silent) -> anyhow::Result<bool> {
        let (lab, id, ciphertext) = (self.lab, self.id, keccak(b"sealed"));
        let other = match silent {
            Silent::Seller => &lab.buyer,
            Silent::Buyer => &lab.seller,
        };
        let call = match (state, silent) {
            (State::Open, Silent::Buyer) => accept(id),
            (State::Accepted, _) => {
                lab.stage.blocks(2).await?;
                Call::Draw(id)
            }
            (State::Drawn | State::Previewed, Silent::Seller) => Call::Send { id, ciphertext },
            (State::PreviewSent, Silent::Buyer) => Call::Proceed {
                id,
                ciphertext,
                signature: None,
            },
            (State::RestSent, Silent::Buyer) => Call::Acknowledge {
                id,
                ciphertext,
                signature: None,
            },
            (State::Delivered, Silent::Buyer) => {
                lab.claim(id, self.leaves()).await?;
                return Ok(true);
            }
            // No proof was handed over.
            (State::Claimed, Silent::Seller) => contest(id, 0),
            (State::Contested, Silent::Buyer) => Call::Answer {
                proof: Box::new(lab.shard_proof(self.set, id, 0, &self.proven[0])?),
                path: ClaimTree::new(self.leaves())?.path(0)?,
            },
            _ => return Ok(false),
        };
        other.must(call).await?;
        Ok(true)
    }

    /// To the end: what seller and buyer have then, and the state.
    async fn to_the_end(&self, silent: Silent) -> anyhow::Result<(State, u128, u128)> {
        loop {
            let state = self.lab.state(self.id).await?;
            if state.is_terminal() {
                let (seller, buyer) = self.lab.paid().await?;
                return Ok((state, seller, buyer));
            }
            if !self.moves(state, silent).await? {
                self.expire(state).await?;
            }
        }
    }

    /// Nobody moves: in the last second nothing ends, in the next one anybody ends it, by the table.
    async fn expire(&self, state: State) -> anyhow::Result<()> {
        let agreement = self.lab.agreement(self.id).await?;
        let now = self.stranger.chain.head().await?.time;
        assert_eq!(
            self.stranger.refused(Call::Expire(self.id)).await?,
            "TooEarly"
        );
        let left = agreement.deadline.saturating_sub(now);
        self.lab.stage.pass(left + 1).await?;
        let before = self.credits().await?;
        let receipt = self.stranger.must(Call::Expire(self.id)).await?;
        assert!(receipt.gas < 100_000, "{} gas", receipt.gas);
        let (to, money) = by_the_table(state, agreement.passed());
        let ended = self.lab.state(self.id).await?;
        assert_eq!(format!("{ended:?}"), to);
        let after = self.credits().await?;
        for (index, name) in ["seller", "buyer"].into_iter().enumerate() {
            let got = after[index] - before[index];
            assert_eq!(got, amount(&money[name]), "{state:?}, {name}");
        }
        Ok(())
    }

    /// What seller and buyer may withdraw.
    async fn credits(&self) -> anyhow::Result<[u128; 2]> {
        let mut credits = [0, 0];
        for (who, credit) in [&self.lab.seller, &self.lab.buyer]
            .into_iter()
            .zip(&mut credits)
        {
            let account = who.chain.account();
            *credit = self.stranger.chain.credit(account, Address::ZERO).await?.0;
        }
        Ok(credits)
    }
}

/// What `expire` leads to, as the table has it.
fn by_the_table(state: State, passed: bool) -> (String, Value) {
    let table: Value =
        serde_json::from_str(include_str!("../../../contracts/agreement.json")).unwrap();
    let other = if passed { "failed" } else { "passed" };
    let rows = table["transitions"].as_array().unwrap().iter();
    let mut rows = rows.filter(|row| {
        let conditions = row["if"].as_array().unwrap();
        row["from"] == format!("{state:?}")
            && row["event"] == "expire"
            && !conditions.contains(&other.into())
    });
    let row = rows.next().unwrap();
    assert!(rows.next().is_none());
    let to = row["to"].as_str().unwrap().to_owned();
    (to, row["money"].clone())
}

/// An amount of the table, such as `price + buyerBond - previewFee`.
fn amount(text: &Value) -> u128 {
    let text = text.as_str().unwrap_or("0");
    let (mut sum, mut plus) = (0, true);
    for word in text.split_whitespace() {
        let value = match word {
            "+" | "-" => {
                plus = word == "+";
                continue;
            }
            "0" => 0,
            "price" => PRICE,
            "buyerBond" => BUYER_BOND,
            "bond" => BOND,
            "penalty" => PENALTY,
            "previewFee" => PREVIEW_FEE,
            "contestFee" | "contestFees" => CONTEST_FEE,
            other => panic!("no amount {other}"),
        };
        sum = if plus { sum + value } else { sum - value };
    }
    sum
}

/// What a party has more (or less) than it paid in.
fn change(got: u128, paid: u128) -> String {
    let amounts = |value: u128| match value.checked_sub(PRICE) {
        Some(0) => "price".to_owned(),
        Some(more) => format!("(price + {more})"),
        None => value.to_string(),
    };
    match got.checked_sub(paid) {
        Some(0) => "0".into(),
        Some(more) => format!("+{}", amounts(more)),
        None => format!("-{}", amounts(paid - got)),
    }
}

fn proofs(lab: &Lab, set: &TestSet, id: AgreementId) -> anyhow::Result<Vec<Attestation>> {
    Ok(vec![lab.attest(set, id, 0)?, lab.attest(set, id, 1)?])
}

async fn row(
    (lab, set, claimed): (&Lab, &TestSet, &[Attestation]),
    stranger: &Hands,
    state: State,
) -> anyhow::Result<Vec<String>> {
    let mut cells = vec![];
    for silent in [Silent::Seller, Silent::Buyer] {
        let terms = lab.terms(set, 6, Mode::Optimistic).await?;
        let reached = state.min(State::Delivered);
        let id = lab.bring_to(terms, reached).await?;
        let play = Play {
            lab,
            set,
            stranger,
            id,
            proven: match (state, silent) {
                (State::Contested, Silent::Buyer) => proofs(lab, set, id)?,
                _ => claimed.to_vec(),
            },
        };
        let mut deposits = [0, PRICE + BUYER_BOND];
        if state >= State::Claimed {
            lab.claim(id, play.leaves()).await?;
        }
        let mut contested = state == State::Contested;
        if contested {
            lab.buyer.must(contest(id, 0)).await?;
        }
        let (ended, seller, buyer) = play.to_the_end(silent).await?;
        contested |= ended == State::Slashed && state == State::Claimed;
        if contested {
            deposits[1] += CONTEST_FEE;
        }
        if ended != State::Cancelled {
            deposits[0] = BOND;
        }
        let cell = format!(
            "{ended:?}: seller {}, buyer {}",
            change(seller, deposits[0]),
            change(buyer, deposits[1])
        );
        cells.push(cell);
    }
    Ok(cells)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_party_silent_from_each_state_on() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = lab.commit(&labelled(&lab.model.network, 13, 9)?)?;
    let stranger = lab.stage.stranger().await?;
    let stranger = Hands::of(&lab.stage, &stranger, "stranger").await?;
    let mut text = String::from(
        "| silent from | the seller is silent | the buyer is silent |\n| --- | --- | --- |\n",
    );
    // What is claimed and never brought need not be bound to anything.
    let claimed = proofs(&lab, &set, AgreementId(Hash::ZERO))?;
    for state in STATES {
        let cells = row((&lab, &set, &claimed), &stranger, state).await?;
        text.push_str(&format!("| {state:?} | {} |\n", cells.join(" | ")));
    }
    assert_eq!(lab.stage.held().await?.0, 0);
    renew("silence", &text);
    Ok(())
}
