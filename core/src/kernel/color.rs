//! Colors of tags, pipelines and labels.

use super::error::{Error, ErrorCode, Result};

/// An opaque color, written `#RRGGBB` in upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HexColor([u8; 3]);

impl HexColor {
    pub const RED: HexColor = HexColor([255, 0, 0]);
    pub const GREEN: HexColor = HexColor([0, 255, 0]);
    pub const BLUE: HexColor = HexColor([0, 0, 255]);
    pub const YELLOW: HexColor = HexColor([255, 255, 0]);
    pub const WHITE: HexColor = HexColor([255, 255, 255]);
    pub const BLACK: HexColor = HexColor([0, 0, 0]);

    /// Reads six hex digits, or three that are doubled, with or without `#`, in any case.
    ///
    /// # Errors
    /// `color_required` when empty, `color_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ErrorCode::ColorRequired.into());
        }
        let digits: Option<Vec<u8>> = text
            .strip_prefix('#')
            .unwrap_or(text)
            .chars()
            .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect();
        match digits.as_deref() {
            Some([r, g, b]) => Ok(HexColor([r * 17, g * 17, b * 17])),
            Some([r1, r2, g1, g2, b1, b2]) => Ok(HexColor([r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2])),
            _ => Err(ErrorCode::ColorInvalid.into()),
        }
    }

    /// # Errors
    /// `color_channel_out_of_range` for a channel that is not 0–255.
    pub fn from_rgb(red: i64, green: i64, blue: i64) -> Result<Self> {
        let channel = |name: &str, value: i64| {
            u8::try_from(value).map_err(|_| Error::new(ErrorCode::ColorChannelOutOfRange).at(name).with("max", 255))
        };
        Ok(HexColor([channel("red", red)?, channel("green", green)?, channel("blue", blue)?]))
    }

    pub const fn rgb(self) -> (u8, u8, u8) {
        let [red, green, blue] = self.0;
        (red, green, blue)
    }

    /// How bright the color looks, 0–255.
    pub const fn brightness(self) -> u8 {
        let [red, green, blue] = self.0;
        let thousandths = 299 * red as u32 + 587 * green as u32 + 114 * blue as u32;
        (thousandths / 1000) as u8
    }

    pub const fn is_dark(self) -> bool {
        self.brightness() < 128
    }

    pub const fn is_light(self) -> bool {
        !self.is_dark()
    }

    /// The color of text on it: white on dark, black on light.
    pub const fn contrast(self) -> HexColor {
        if self.is_dark() { HexColor::WHITE } else { HexColor::BLACK }
    }
}

impl std::fmt::Display for HexColor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02X}{green:02X}{blue:02X}")
    }
}

impl std::fmt::Debug for HexColor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HexColor({self})")
    }
}

impl serde::Serialize for HexColor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for HexColor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::input::text(deserializer, HexColor::parse)
    }
}

impl schemars::JsonSchema for HexColor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HexColor".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "format": "color", "pattern": "^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$",
            "description": "A color, for example #FF6600."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_09_colors() {
        let parse = |text| HexColor::parse(text).unwrap().to_string();
        assert_eq!(parse("ff5733"), "#FF5733");
        assert_eq!(parse(" #Ff5733 "), "#FF5733");
        assert_eq!(parse("#f60"), "#FF6600");
        for text in ["#FF57", "#GGGGGG", "#FF 5733", "#FF5733AA", "##FF5733", "#"] {
            assert_eq!(HexColor::parse(text).unwrap_err().code(), ErrorCode::ColorInvalid, "{text}");
        }
        assert_eq!(HexColor::parse("  ").unwrap_err().code(), ErrorCode::ColorRequired);
        let brightness = [HexColor::RED, HexColor::GREEN, HexColor::BLUE, HexColor::WHITE].map(HexColor::brightness);
        assert_eq!(brightness, [76, 149, 29, 255]);
        assert!(HexColor::RED.is_dark() && HexColor::BLUE.is_dark());
        assert!(HexColor::YELLOW.is_light() && HexColor::parse("#C0C0C0").unwrap().is_light());
        assert_eq!(HexColor::BLUE.contrast().to_string(), "#FFFFFF");
        assert_eq!(HexColor::WHITE.contrast(), HexColor::BLACK);
    }

    #[test]
    fn channels_are_bytes() {
        assert_eq!(HexColor::from_rgb(255, 102, 0).unwrap().to_string(), "#FF6600");
        let error = HexColor::from_rgb(0, 256, 0).unwrap_err();
        assert_eq!((error.code().as_str(), error.field()), ("color_channel_out_of_range", Some("green")));
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(red: u8, green: u8, blue: u8) {
            let color = HexColor([red, green, blue]);
            prop_assert_eq!(HexColor::parse(&color.to_string()).unwrap(), color);
        }
    }
}
