//! Amounts of money in minor units: exact, of one currency, never below zero.

mod currency;

pub use currency::Currency;

use super::error::{Error, ErrorCode, Result};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// An amount of 0 to 9 007 199 254 740 991 minor units, which every language can hold exactly.
///
/// JSON: `{"amount_minor": 1050, "currency": "USD"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Money {
    amount_minor: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount in minor units: 2⁵³ − 1.
    pub const MAX_MINOR: i64 = 9_007_199_254_740_991;

    /// # Errors
    /// `money_negative`, `money_overflow`.
    pub fn from_minor(amount_minor: i64, currency: Currency) -> Result<Self> {
        match amount_minor {
            ..0 => Err(ErrorCode::MoneyNegative.into()),
            0..=Self::MAX_MINOR => Ok(Money { amount_minor, currency }),
            _ => Err(ErrorCode::MoneyOverflow.into()),
        }
    }

    pub const fn zero(currency: Currency) -> Self {
        Money { amount_minor: 0, currency }
    }

    /// Reads a decimal in major units, such as `19.99`; never a float, which would lose a cent.
    ///
    /// # Errors
    /// `input_invalid` for what is no plain decimal, `money_precision`, `money_negative`, `money_overflow`.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self> {
        let amount = decimal(amount)?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(ErrorCode::MoneyNegative.into());
        }
        let minor = amount.checked_mul(currency.units().into()).ok_or(ErrorCode::MoneyOverflow)?;
        if !minor.fract().is_zero() {
            return Err(Error::new(ErrorCode::MoneyPrecision).with("max", currency.exponent()));
        }
        Self::from_decimal(minor, currency)
    }

    fn from_decimal(minor: Decimal, currency: Currency) -> Result<Self> {
        let minor = i64::try_from(minor).map_err(|_| ErrorCode::MoneyOverflow)?;
        Self::from_minor(minor, currency)
    }

    pub const fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub const fn is_zero(self) -> bool {
        self.amount_minor == 0
    }

    /// The amount in major units, with all decimals of its currency: `10.50`.
    pub fn decimal(self) -> String {
        Decimal::new(self.amount_minor, self.currency.exponent()).to_string()
    }

    /// The form that people read: `R$10.50`, `CHF 10.50`.
    pub fn display(self) -> String {
        format!("{}{}", self.currency.symbol(), self.decimal())
    }

    /// # Errors
    /// `currency_mismatch`, `money_overflow`.
    #[expect(clippy::should_implement_trait, reason = "the operator cannot fail")]
    pub fn add(self, other: Money) -> Result<Money> {
        self.same_currency(other)?;
        Self::from_minor(self.amount_minor + other.amount_minor, self.currency)
    }

    /// # Errors
    /// `currency_mismatch`, `money_negative` when the other is larger.
    pub fn subtract(self, other: Money) -> Result<Money> {
        self.same_currency(other)?;
        Self::from_minor(self.amount_minor - other.amount_minor, self.currency)
    }

    /// # Errors
    /// `currency_mismatch`.
    pub fn compare(self, other: Money) -> Result<Ordering> {
        self.same_currency(other)?;
        Ok(self.amount_minor.cmp(&other.amount_minor))
    }

    /// Multiplies exactly and rounds to the minor unit, a half to the even one.
    ///
    /// # Errors
    /// `input_invalid` for a factor that is no plain decimal, `money_negative` for one below zero, `money_overflow`.
    pub fn multiply(self, factor: &str) -> Result<Money> {
        let factor = decimal(factor)?;
        if factor.is_sign_negative() && !factor.is_zero() {
            return Err(ErrorCode::MoneyNegative.into());
        }
        // The product is exact or an overflow: its digits are at most the sum of both, and a factor with that many decimals rounds last.
        let product = Decimal::from(self.amount_minor).checked_mul(factor).ok_or(ErrorCode::MoneyOverflow)?;
        Self::from_decimal(product.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven), self.currency)
    }

    /// Splits into parts that stand to each other as the weights and sum exactly to the whole. What does not divide goes to the parts
    /// with the largest remainders, one minor unit each, the earlier first.
    ///
    /// # Errors
    /// `value_out_of_range` when there are no weights or all are zero.
    pub fn allocate(self, weights: &[u32]) -> Result<Vec<Money>> {
        let total: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        if total == 0 {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("weights").with("min", 1));
        }
        let amount = i128::from(self.amount_minor);
        let shares: Vec<i128> = weights.iter().map(|weight| amount * i128::from(*weight)).collect();
        let mut parts: Vec<i128> = shares.iter().map(|share| share / total).collect();
        let mut left = amount - parts.iter().sum::<i128>();
        let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
        by_remainder.sort_by_key(|index| std::cmp::Reverse(shares[*index] % total));
        for index in by_remainder {
            if left == 0 {
                break;
            }
            parts[index] += 1;
            left -= 1;
        }
        let money = |part: i128| {
            let part = i64::try_from(part).map_err(|_| ErrorCode::MoneyOverflow)?;
            Self::from_minor(part, self.currency)
        };
        parts.into_iter().map(money).collect()
    }

    fn same_currency(self, other: Money) -> Result<()> {
        if self.currency == other.currency {
            Ok(())
        } else {
            let mismatch = Error::new(ErrorCode::CurrencyMismatch);
            Err(mismatch.with("expected", self.currency.as_str()).with("actual", other.currency.as_str()))
        }
    }
}

/// Digits with at most one point among them, and a sign perhaps.
fn decimal(text: &str) -> Result<Decimal> {
    let text = text.trim();
    let invalid = || Error::new(ErrorCode::InputInvalid).message("expected a decimal number such as 19.99");
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !is_plain || digits.matches('.').count() > 1 {
        return Err(invalid());
    }
    Decimal::from_str_exact(text).map_err(|_| ErrorCode::MoneyOverflow.into())
}

/// The machine form: `USD 10.50`.
impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.currency, self.decimal())
    }
}

impl std::str::FromStr for Money {
    type Err = Error;

    /// Reads the machine form.
    fn from_str(text: &str) -> Result<Self> {
        let (currency, amount) = text.trim().split_once(' ').ok_or(ErrorCode::CurrencyInvalid)?;
        Money::parse(amount, Currency::parse(currency)?)
    }
}

/// An amount of money.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Money")]
struct Wire {
    /// The amount in the currency's minor unit, such as cents.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    amount_minor: i64,
    currency: Currency,
}

impl From<Money> for Wire {
    fn from(money: Money) -> Self {
        Wire { amount_minor: money.amount_minor, currency: money.currency }
    }
}

impl TryFrom<Wire> for Money {
    type Error = super::input::Carried;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        Money::from_minor(wire.amount_minor, wire.currency).map_err(|error| error.at("amount_minor").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn money(amount: &str, currency: &str) -> Money {
        Money::parse(amount, Currency::parse(currency).unwrap()).unwrap()
    }

    #[track_caller]
    fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
        result.unwrap_err().code().as_str()
    }

    #[test]
    fn case_10_amounts_from_decimals() {
        assert_eq!(money("19.99", "USD").amount_minor(), 1999);
        assert_eq!(money("0.29", "EUR").amount_minor(), 29);
        assert_eq!(code(Money::parse("10.505", Currency::USD)), "money_precision");
        assert_eq!(money("100", "JPY").amount_minor(), 100);
        assert_eq!(money("1.234", "BHD").amount_minor(), 1234);
    }

    #[test]
    fn case_11_arithmetic() {
        assert_eq!(code(money("10.50", "BRL").add(money("1", "USD"))), "currency_mismatch");
        assert_eq!(code(money("5", "USD").subtract(money("6", "USD"))), "money_negative");
        assert_eq!(money("10.05", "USD").multiply("0.5").unwrap(), money("5.02", "USD"));
        let parts: Vec<i64> =
            money("1.00", "USD").allocate(&[1, 1, 1]).unwrap().iter().map(|m| m.amount_minor()).collect();
        assert_eq!(parts, [34, 33, 33]);
    }

    #[test]
    fn limits_and_nonsense() {
        assert_eq!(code(Money::from_minor(-1, Currency::USD)), "money_negative");
        assert_eq!(code(Money::from_minor(Money::MAX_MINOR + 1, Currency::USD)), "money_overflow");
        assert_eq!(code(Money::parse("90071992547409.92", Currency::USD)), "money_overflow");
        assert_eq!(code(Money::parse("1000000000000000000000000000000", Currency::USD)), "money_overflow");
        assert_eq!(code(Money::parse("-0.01", Currency::USD)), "money_negative");
        assert_eq!(money("-0.00", "USD"), Money::zero(Currency::USD));
        assert_eq!(money("1.50000", "USD").amount_minor(), 150);
        for text in ["", "1,50", "1e3", "NaN", "1.", ".5", "1.2.3", "$1", "1_000"] {
            assert_eq!(code(Money::parse(text, Currency::USD)), "input_invalid", "{text}");
        }
        assert_eq!(code(money("1", "USD").multiply("-1")), "money_negative");
        assert_eq!(code(money("90071992547409.91", "USD").multiply("1.1")), "money_overflow");
        assert_eq!(code(money("1", "USD").allocate(&[0, 0])), "value_out_of_range");
        assert_eq!(money("2", "USD").compare(money("1", "USD")).unwrap(), Ordering::Greater);
    }

    #[test]
    fn amounts_are_written_for_machines_and_people() {
        assert_eq!(money("10.5", "USD").to_string(), "USD 10.50");
        assert_eq!(money("10.5", "BRL").display(), "R$10.50");
        assert_eq!(money("10.5", "CHF").display(), "CHF 10.50");
        assert_eq!(money("7", "JPY").to_string(), "JPY 7");
        assert_eq!(money("0", "KWD").to_string(), "KWD 0.000");
        let json = serde_json::to_string(&money("10.5", "USD")).unwrap();
        assert_eq!(json, r#"{"amount_minor":1050,"currency":"USD"}"#);
        let error = crate::kernel::input::parse::<Money>(br#"{"amount_minor": -1, "currency": "USD"}"#).unwrap_err();
        assert_eq!((error.code().as_str(), error.field()), ("money_negative", Some("amount_minor")));
    }

    fn any_money() -> impl Strategy<Value = Money> {
        let currency = proptest::sample::select(Currency::all().collect::<Vec<_>>());
        (0..=Money::MAX_MINOR, currency).prop_map(|(minor, currency)| Money::from_minor(minor, currency).unwrap())
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(money in any_money()) {
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }

        #[test]
        fn parts_sum_to_the_whole(money in any_money(), weights in proptest::collection::vec(0u32.., 1..20)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = money.allocate(&weights).unwrap();
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(parts.iter().map(|part| part.amount_minor()).sum::<i64>(), money.amount_minor());
        }

        #[test]
        fn adding_and_subtracting_gives_the_same(a in 0i64..=Money::MAX_MINOR / 2, b in 0i64..=Money::MAX_MINOR / 2) {
            let (a, b) = (Money::from_minor(a, Currency::BRL).unwrap(), Money::from_minor(b, Currency::BRL).unwrap());
            prop_assert_eq!(a.add(b).unwrap().subtract(b).unwrap(), a);
        }
    }
}
