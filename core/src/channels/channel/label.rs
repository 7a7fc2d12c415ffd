//! A label of a channel, as the provider shows it to its users.

use crate::channels::waha::labels::PALETTE;
use crate::kernel::{Error, ErrorCode, HexColor, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most labels of a channel.
pub const MAX_LABELS: usize = 500;

/// A label that chats of the channel can carry. Names need not be unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelLabel {
    /// The provider's id, 1 to 64 characters.
    pub id: String,
    pub name: String,
    /// Place in the provider's palette, 0 to 19.
    pub color: u8,
    pub color_hex: HexColor,
}

impl ChannelLabel {
    /// A label that keeps the rules. Without a `color_hex` the palette's colour is taken.
    ///
    /// # Errors
    /// `channel_label_invalid` at `id`, `name` or `color`; `color_invalid` at `color_hex`.
    pub fn new(id: &str, name: &str, color: u8, color_hex: Option<&str>) -> Result<Self> {
        let invalid = |field: &str| Error::new(ErrorCode::ChannelLabelInvalid).at(field);
        let id = id.trim();
        if id.is_empty() || id.chars().count() > 64 || id.chars().any(char::is_control) {
            return Err(invalid("id").with("max", 64));
        }
        let name = crate::kernel::name(name, 1, 100).map_err(|_| invalid("name").with("max", 100))?;
        let palette = PALETTE.get(usize::from(color)).ok_or_else(|| invalid("color").with("max", PALETTE.len() - 1))?;
        let color_hex = match color_hex.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => HexColor::parse(text).map_err(|e| e.at("color_hex"))?,
            None => HexColor::parse(palette)?,
        };
        Ok(ChannelLabel { id: id.to_owned(), name, color, color_hex })
    }
}
