//! What a search looks through, and how good a hit is.

use super::state::Contact;
use crate::storage::Index;

/// The text of each field that a search looks through, with its weight.
pub(super) fn index(contact: &Contact, index: &mut Index) {
    index.search("name", 1.5, contact.name.as_str());
    if let Some(phone) = &contact.phone {
        index.search("phone", 1.3, phone.as_str());
    }
    if let Some(email) = &contact.email {
        index.search("email", 1.2, email.as_str());
    }
    index.search("company", 1.0, contact.company.as_deref().unwrap_or_default());
    for tag in &contact.tags {
        index.search("tags", 1.0, tag.as_str());
    }
    index.search("external_id", 1.0, contact.external_id.as_deref().unwrap_or_default());
    for identifier in contact.whatsapp.iter().flat_map(super::identity::WhatsAppIdentifiers::identifiers) {
        index.search("whatsapp", 1.0, identifier.value);
    }
    for identifier in &contact.identifiers {
        index.search("identifiers", 1.0, identifier.value.as_str());
    }
}
