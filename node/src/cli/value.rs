//! Values as people write them: amounts, times, ranges.

use std::time::Duration;

use anyhow::{bail, Context};
use zknode_protocol::value::{Address, Amount};

use crate::buyer::Threshold;

/// `2ether`, `0.05ether`, `3gwei`, `100wei` or `100`.
pub fn amount(text: &str) -> anyhow::Result<Amount> {
    let units = [("ether", 18), ("gwei", 9), ("wei", 0), ("", 0)];
    let refuse =
        || format!("expected an amount such as 0.05ether, 3gwei or 100 (wei), got {text:?}");
    let (number, digits) = units
        .iter()
        .find_map(|(unit, digits)| Some((text.strip_suffix(unit)?.trim(), *digits)))
        .with_context(refuse)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > digits {
        bail!(refuse());
    }
    let text = format!("{whole}{fraction:0<digits$}");
    Ok(Amount(text.parse().with_context(refuse)?))
}

/// `30s`, `10m`, `2h` or `3d`.
pub fn duration(text: &str) -> anyhow::Result<Duration> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let refuse = || format!("expected a time such as 30s, 10m, 2h or 3d, got {text:?}");
    let (number, seconds) = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        .with_context(refuse)?;
    let count: u64 = number.parse().with_context(refuse)?;
    let total = count.checked_mul(seconds).with_context(refuse)?;
    Ok(Duration::from_secs(total))
}

/// The same, of at least so many seconds.
pub fn at_least(least: u64) -> impl Fn(&str) -> anyhow::Result<Duration> + Clone {
    move |text| {
        let found = duration(text)?;
        if found < Duration::from_secs(least) {
            bail!("expected at least {least}s, got {text:?}");
        }
        Ok(found)
    }
}

/// A number of things, at least one.
pub fn count(text: &str) -> anyhow::Result<usize> {
    let count: usize = text.parse()?;
    anyhow::ensure!(count > 0, "expected at least 1");
    Ok(count)
}

/// `from..to`, `from..` or `..to`, samples counted from 0.
pub fn range(text: &str) -> anyhow::Result<(usize, Option<usize>)> {
    let refuse = || format!("expected a range such as 0..200, got {text:?}");
    let (from, to) = text.split_once("..").with_context(refuse)?;
    let from = match from {
        "" => 0,
        from => from.parse().with_context(refuse)?,
    };
    let to = match to {
        "" => None,
        to => Some(to.parse().with_context(refuse)?),
    };
    if to.is_some_and(|to| to <= from) {
        bail!(refuse());
    }
    Ok((from, to))
}

/// `98%`, `2.5%` or `0.25%`, in basis points.
pub fn share(text: &str) -> anyhow::Result<u32> {
    match text.parse()? {
        Threshold::BasisPoints(points) => Ok(points),
        Threshold::Count(_) => bail!("expected a share such as 98.5%, got {text:?}"),
    }
}

/// Wei in ether, as exact as it is.
pub fn ether(amount: Amount) -> String {
    let (whole, fraction) = (amount.0 / 10u128.pow(18), amount.0 % 10u128.pow(18));
    let fraction = format!("{fraction:018}");
    match fraction.trim_end_matches('0') {
        "" => format!("{whole} ether"),
        digits => format!("{whole}.{digits} ether"),
    }
}

/// Ether, or least units of the token, which are told as they are: how many of them make one only the token knows.
pub fn money(amount: Amount, token: Address) -> String {
    if token == Address::ZERO {
        ether(amount)
    } else {
        format!("{amount} of token {token}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_not_called_ether() {
        let amount = Amount(1_000_000);
        assert_eq!(money(amount, Address::ZERO), "0.000000000001 ether");
        let token = money(amount, format!("0x{}", "01".repeat(20)).parse().unwrap());
        assert!(token.starts_with("1000000 of token 0x0101"), "{token}");
    }

    #[test]
    fn amounts_are_exact() {
        for (text, wei) in [
            ("2ether", 2_000_000_000_000_000_000),
            ("0.05ether", 50_000_000_000_000_000),
            ("0.000000000000000001ether", 1),
            ("3gwei", 3_000_000_000),
            ("7", 7),
            ("7 wei", 7),
        ] {
            assert_eq!(amount(text).unwrap(), Amount(wei), "{text}");
        }
        assert_eq!(share("2.5%").unwrap(), 250);
        assert!(share("2").is_err());
        for text in [
            "",
            "ether",
            "-1",
            "1.5",
            "1.5wei",
            "0.0000000000000000001ether",
            "1e18",
            "1,5ether",
            "999999999999999999999999ether",
        ] {
            assert!(amount(text).is_err(), "{text:?}");
        }
        assert_eq!(ether(Amount(50_000_000_000_000_000)), "0.05 ether");
        assert_eq!(ether(Amount(0)), "0 ether");
    }

    #[test]
    fn no_time_at_all_is_refused() {
        let parse = at_least(30);
        assert_eq!(parse("30s").unwrap(), Duration::from_secs(30));
        for text in ["29s", "0s", "0d"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_and_ranges_have_one_reading() {
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(duration("3d").unwrap(), Duration::from_secs(259_200));
        for text in ["", "10", "m", "-1s", "1.5h", "999999999999999999d"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert_eq!(range("56..256").unwrap(), (56, Some(256)));
        assert_eq!(range("..").unwrap(), (0, None));
        assert_eq!(range("3..").unwrap(), (3, None));
        for text in ["", "3", "3..3", "4..3", "a..b"] {
            assert!(range(text).is_err(), "{text:?}");
        }
    }
}
