//! Currencies of ISO 4217.

use crate::kernel::{ErrorCode, Result};

/// An active currency, by its three-letter code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static str);

impl Currency {
    pub const USD: Currency = Currency("USD");
    pub const BRL: Currency = Currency("BRL");
    pub const EUR: Currency = Currency("EUR");
    pub const GBP: Currency = Currency("GBP");

    /// Reads a code in any case, spaces around it ignored.
    ///
    /// # Errors
    /// `currency_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let code = text.trim().to_ascii_uppercase();
        match CODES.binary_search(&code.as_str()) {
            Ok(index) => Ok(Currency(CODES[index])),
            Err(_) => Err(ErrorCode::CurrencyInvalid.into()),
        }
    }

    /// All currencies, sorted.
    pub fn all() -> impl Iterator<Item = Currency> {
        CODES.iter().map(|code| Currency(code))
    }

    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// How many decimals its minor unit has. Providers may count otherwise (Stripe has hundredths of ISK and UGX).
    pub fn exponent(self) -> u32 {
        match self.0 {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => 2,
        }
    }

    /// How many minor units make a major one.
    pub fn units(self) -> i64 {
        10_i64.pow(self.exponent())
    }

    /// What stands before an amount that people read: `R$`, or the code and a space.
    pub fn symbol(self) -> String {
        match self.0 {
            "USD" => "$".to_owned(),
            "BRL" => "R$".to_owned(),
            "EUR" => "€".to_owned(),
            "GBP" => "£".to_owned(),
            code => format!("{code} "),
        }
    }
}

crate::kernel::text_enum::text_value!(Currency, {
    "type": "string", "format": "iso-4217", "pattern": "^[A-Z]{3}$", "description": "A currency, for example USD."
});

/// Without precious metals, test codes and the other `X` codes that are nobody's money.
const CODES: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD", "BIF", "BMD", "BND",
    "BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CLF", "CLP", "CNY",
    "COP", "COU", "CRC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP",
    "GBP", "GEL", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD",
    "IRR", "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP",
    "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN",
    "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN",
    "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD",
    "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX",
    "USD", "USN", "UYI", "UYU", "UYW", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF",
    "YER", "ZAR", "ZMW", "ZWG",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_of_three_letters() {
        assert!(CODES.is_sorted_by(|a, b| a < b));
        assert!(CODES.iter().all(|code| code.len() == 3));
    }

    #[test]
    fn any_case_is_read_and_nothing_retired() {
        assert_eq!(Currency::parse(" brl ").unwrap(), Currency::BRL);
        for text in ["", "XAU", "XXX", "XTS", "HRK", "DEM", "R$", "USDT"] {
            assert_eq!(Currency::parse(text).unwrap_err().code(), ErrorCode::CurrencyInvalid, "{text}");
        }
        for currency in Currency::all() {
            assert_eq!(Currency::parse(currency.as_str()).unwrap(), currency);
        }
        for code in ["XAF", "XOF", "XPF", "XCD", "XCG", "CLF", "UYW", "UYI"] {
            assert!(Currency::parse(code).is_ok(), "{code}");
        }
    }
}
