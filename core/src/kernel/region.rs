//! Countries and territories by their ISO 3166-1 code.

use super::error::{ErrorCode, Result};

/// A country or territory: an officially assigned ISO 3166-1 alpha-2 code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(&'static str);

impl Region {
    /// Brazil, where Ventros is at home: what is meant where nothing is said.
    pub const BR: Region = Region("BR");

    /// Reads a code in any case, spaces around it ignored; anything unknown is `region_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let code = text.trim().to_ascii_uppercase();
        match CODES.binary_search(&code.as_str()) {
            Ok(index) => Ok(Region(CODES[index])),
            Err(_) => Err(ErrorCode::RegionInvalid.into()),
        }
    }

    /// All regions, sorted.
    pub fn all() -> impl Iterator<Item = Region> {
        CODES.iter().map(|code| Region(code))
    }

    pub const fn as_str(&self) -> &'static str {
        self.0
    }
}

super::text_enum::text_value!(Region, {
    "type": "string", "format": "iso-3166-1-alpha-2", "pattern": "^[A-Z]{2}$", "description": "A country or territory, for example BR."
});

const CODES: &[&str] = &[
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB", "BD",
    "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY", "BZ", "CA",
    "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE",
    "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA",
    "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK",
    "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP",
    "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT",
    "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS",
    "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ",
    "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS",
    "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST",
    "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW",
    "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "YE", "YT", "ZA",
    "ZM", "ZW",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_complete() {
        assert!(CODES.is_sorted());
        assert_eq!(CODES.len(), 249);
    }

    #[test]
    fn any_case_is_read_and_nothing_unknown() {
        assert_eq!(Region::parse(" br ").unwrap().as_str(), "BR");
        for text in ["", "XX", "BRA", "B", "br-SP"] {
            assert_eq!(Region::parse(text).unwrap_err().code(), ErrorCode::RegionInvalid, "{text}");
        }
        for region in Region::all() {
            assert_eq!(Region::parse(region.as_str()).unwrap(), region);
        }
    }
}
