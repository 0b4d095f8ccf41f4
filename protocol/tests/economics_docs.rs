//! `docs/economics.md` shows what the code computes: every table in it is made here, and must be the one that is there.
//! `ZKNODE_BLESS=1` writes them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fmt::Write, fs, path::PathBuf};

use zknode_protocol::{
    bounds::{audit_samples, clopper_pearson_samples, hoeffding_samples},
    economics::{
        check, hit_chance, inequalities,
        lazy::{self, Answers},
        suggest, Costs, Gas, Settlement, Side, Terms, Wish,
    },
    value::Amount,
};

const GWEI: u128 = 1_000_000_000;
const SEED: u64 = 1;

/// The example of the page: a label at 5 cents, a machine hour at 10 cents, ether at 2,500, gas at 1 gwei.
fn costs() -> Costs {
    let gas = |units: u128| Amount(units * GWEI);
    Costs {
        label: Amount(20_000 * GWEI),
        proof: Amount(GWEI),
        inference: Amount(GWEI / 1_000),
        look: Amount(1_000 * GWEI),
        prize: Amount::ZERO,
        worth: None,
        gas: Gas {
            open: gas(302_000),
            accept: gas(67_000),
            acknowledge: gas(58_000),
            claim: gas(71_000),
            approve: gas(101_000),
            contest: gas(69_000),
            prove_shard: gas(880_000),
        },
        error: 250,
        risk: 500,
        vigilance: 9_900,
        interest: 500,
        outage: 21_600,
        seconds_per_shard: 30,
        block_seconds: 12,
    }
}

fn wish() -> Wish {
    Wish {
        samples: 1_000,
        shard_size: 152,
        threshold: 980,
        eager: false,
        preview_shards: None,
        price: Some(Amount(50_000_000 * GWEI)),
    }
}

fn ether(amount: Amount) -> String {
    let text = format!(
        "{}.{:018}",
        amount.0 / 10u128.pow(18),
        amount.0 % 10u128.pow(18)
    );
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn sizes() -> String {
    let mut text = String::from(
        "| error | Hoeffding | Clopper-Pearson at a threshold of 90 % | 98 % | 99 % | audits |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (name, error) in [
        ("5 %", 0.05),
        ("2.5 %", 0.025),
        ("2 %", 0.02),
        ("1 %", 0.01),
    ] {
        let exact = |points| {
            let size = clopper_pearson_samples(points, error, 0.05).unwrap();
            format!("{} ({} correct)", size.samples, size.correct)
        };
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} |",
            hoeffding_samples(error, 0.05).unwrap(),
            exact(9_000),
            exact(9_800),
            exact(9_900),
            audit_samples(error, 0.05).unwrap(),
        )
        .unwrap();
    }
    text
}

fn amounts(terms: &Terms) -> String {
    let Settlement::Claim {
        contest_fee,
        blind_contests,
    } = terms.settlement
    else {
        panic!("claims");
    };
    let rows = [
        ("price (named by the buyer)", ether(terms.price)),
        ("seller's bond", ether(terms.seller_bond)),
        ("penalty, of the bond", ether(terms.penalty)),
        ("preview fee, of the bond", ether(terms.preview_fee)),
        ("buyer's bond", ether(terms.buyer_bond)),
        ("shards shown first", terms.preview_shards.to_string()),
        ("contest fee", ether(contest_fee)),
        (
            "shards a buyer without proofs contests",
            blind_contests.to_string(),
        ),
        ("stake", ether(terms.stake)),
        (
            "windows for deliveries and answers to them, seconds",
            terms.windows.deliver.to_string(),
        ),
        (
            "window for proofs, seconds",
            terms.windows.prove.to_string(),
        ),
        (
            "window for contests, seconds",
            terms.windows.contest.to_string(),
        ),
        (
            "window for answers, seconds",
            terms.windows.answer.to_string(),
        ),
    ];
    let mut text = String::from("| term | suggested, in ether |\n| --- | ---: |\n");
    for (name, value) in rows {
        writeln!(text, "| {name} | {value} |").unwrap();
    }
    text
}

fn rules(terms: &Terms) -> String {
    let mut text = String::from(
        "| rule | with the numbers, in ether | without it | hurt |\n| --- | --- | --- | --- |\n",
    );
    for inequality in inequalities(terms, &costs()).unwrap() {
        let numbers = inequality.words.say(ether);
        let (rule, why) = (inequality.rule, inequality.rule.protects_against());
        let side = match rule.protects() {
            Side::Seller => "seller",
            Side::Buyer => "buyer",
        };
        writeln!(text, "| `{rule}` | {numbers} | {why} | {side} |").unwrap();
    }
    text
}

fn guessing(terms: &Terms, what: &str, guess: f64) -> String {
    let answers = Answers {
        model: 0.9943,
        guess,
    };
    let points = lazy::accuracy(terms, answers, &lazy::SHARES, 10_000, SEED).unwrap();
    lazy::table(what, &points)
}

fn garbage() -> String {
    let mut text = String::from(
        "| garbled shards of 66 | 1 shown | 5 shown | 10 shown | 33 shown |\n| ---: | ---: | ---: | ---: | ---: |\n",
    );
    for bad in [1, 2, 7, 33, 66] {
        let seen =
            [1, 5, 10, 33].map(|shown| format!("{:.1} %", 100.0 * hit_chance(66, bad, shown)));
        writeln!(text, "| {bad} | {} |", seen.join(" | ")).unwrap();
    }
    text
}

/// The page with every block between `<!-- computed: name -->` and `<!-- end -->` made anew.
fn renew(page: &str, blocks: &[(&str, String)]) -> String {
    let mut text = page.to_owned();
    for (name, block) in blocks {
        let start = format!("<!-- computed: {name} -->\n");
        let from = text
            .find(&start)
            .unwrap_or_else(|| panic!("no block {name}"))
            + start.len();
        let to = from + text[from..].find("<!-- end -->").unwrap();
        text.replace_range(from..to, block);
    }
    assert_eq!(text.matches("<!-- computed: ").count(), blocks.len());
    text
}

#[test]
fn the_page_shows_what_is_computed() {
    let terms = suggest(&wish(), &costs()).unwrap();
    check(&terms, &costs()).unwrap();
    let shares = [0.0, 1.0 / 66.0, 2.0 / 66.0, 0.1, 0.25, 0.5, 1.0];
    let claims = |contests| {
        let points = lazy::claims(66, contests, &shares, 10_000, SEED).unwrap();
        lazy::table("false shards of 66", &points)
    };
    let served = lazy::predictions(1_000, 119, 0.1, &lazy::SHARES, 10_000, SEED).unwrap();
    let blocks = [
        ("sizes", sizes()),
        ("terms", amounts(&terms)),
        ("rules", rules(&terms)),
        ("random answers", guessing(&terms, "guessed answers", 0.1)),
        (
            "smaller model",
            guessing(&terms, "answers of the smaller model", 0.95),
        ),
        ("one contest", claims(1)),
        ("ten contests", claims(10)),
        ("served answers", lazy::table("guessed answers", &served)),
        ("garbage", garbage()),
    ];
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/economics.md");
    let page = fs::read_to_string(&path).unwrap();
    let fresh = renew(&page, &blocks);
    if std::env::var_os("ZKNODE_BLESS").is_some() {
        fs::write(&path, fresh).unwrap();
    } else {
        assert!(
            page == fresh,
            "docs/economics.md is stale: run this test with ZKNODE_BLESS=1"
        );
    }
}
