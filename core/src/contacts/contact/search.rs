//! What a search looks through, and how good a hit is.

use super::finding::{by_identifier, rows};
use super::identity::{Identifier, IdentifierKind, WhatsAppIdentifiers};
use super::policy::Policy;
use super::queries::ContactHit;
use super::state::Contact;
use crate::engine::Reader;
use crate::kernel::{ContactId, Result, fold};
use crate::storage::{FieldKind, Filter, Find, Index, Leaf, Sort, Test};
use std::cmp::Ordering;
use std::collections::BTreeMap;

const EXACT: f64 = 2.0;
const NAME: f64 = 1.5;
const PHONE: f64 = 1.3;
const EMAIL: f64 = 1.2;
const OTHER: f64 = 1.0;
/// How many digits of a phone number find it.
const PHONE_DIGITS: usize = 4;
/// How many of the store's candidates are ranked.
const CANDIDATES: usize = 100;

/// The text of each field that a search looks through, with its weight.
pub(super) fn index(contact: &Contact, index: &mut Index) {
    for (field, weight, text) in texts(contact) {
        index.search(field, weight, text);
    }
}

fn texts(contact: &Contact) -> Vec<(&'static str, f64, String)> {
    let mut texts = vec![("name", NAME, contact.name.clone())];
    texts.extend(contact.phone.iter().map(|phone| ("phone", PHONE, phone.as_str().to_owned())));
    texts.extend(contact.email.iter().map(|email| ("email", EMAIL, email.as_str().to_owned())));
    texts.extend(contact.company.iter().map(|company| ("company", OTHER, company.clone())));
    texts.extend(contact.tags.iter().map(|tag| ("tags", OTHER, tag.as_str().to_owned())));
    texts.extend(contact.external_id.iter().map(|id| ("external_id", OTHER, id.clone())));
    let whatsapp = contact.whatsapp.iter().flat_map(WhatsAppIdentifiers::identifiers);
    texts.extend(whatsapp.map(|id| ("whatsapp", OTHER, id.value)));
    texts.extend(contact.identifiers.iter().map(|id| ("identifiers", OTHER, id.value.clone())));
    texts
}

/// The best hits: by score, then the latest interaction, then id.
pub(super) async fn search(read: &Reader<'_>, q: &str, limit: usize) -> Result<Vec<ContactHit>> {
    let asked = Asked::read(q);
    if asked.words.is_empty() {
        return Ok(Vec::new());
    }
    let mut candidates: BTreeMap<ContactId, (Contact, bool)> = BTreeMap::new();
    for contact in exact(read, q).await? {
        candidates.insert(contact.id, (contact, true));
    }
    for (contact, _) in read.search::<Contact>(q, CANDIDATES).await? {
        candidates.entry(contact.id).or_insert((contact, false));
    }
    // Words of the index are found by their beginning; the middle of an address only by looking at all of them.
    if candidates.len() < limit && asked.words.len() == 1 && asked.folded.chars().count() >= 3 {
        for contact in email_part(read, &asked.folded, limit).await? {
            candidates.entry(contact.id).or_insert((contact, false));
        }
    }
    let mut hits: Vec<ContactHit> = candidates
        .into_values()
        .filter_map(|(contact, exact)| {
            let (score, field) = asked.rate(&contact, exact)?;
            Some(ContactHit { contact, score, match_field: field.to_owned() })
        })
        .collect();
    hits.sort_by(order);
    hits.truncate(limit);
    Ok(hits)
}

fn order(a: &ContactHit, b: &ContactHit) -> Ordering {
    let scores = b.score.total_cmp(&a.score);
    scores
        .then_with(|| b.contact.last_interaction_at.cmp(&a.contact.last_interaction_at))
        .then_with(|| a.contact.id.cmp(&b.contact.id))
}

/// Contacts for which the whole query is an id.
async fn exact(read: &Reader<'_>, q: &str) -> Result<Vec<Contact>> {
    use IdentifierKind as K;
    let region = Policy::of(read).await?.region;
    let kinds = [K::Phone, K::Email, K::WhatsappWid, K::WhatsappLid, K::External];
    let mut found = Vec::new();
    for identifier in kinds.iter().filter_map(|kind| Identifier::parse(*kind, None, q, region).ok()) {
        found.extend(by_identifier(read, &identifier).await?);
    }
    Ok(found)
}

async fn email_part(read: &Reader<'_>, part: &str, limit: usize) -> Result<Vec<Contact>> {
    let test = Test::Contains(part.to_owned());
    let leaf = Leaf { field: "email".to_owned(), kind: FieldKind::Text, is_attribute: false, test };
    let find = Find {
        filter: Filter::Leaf(leaf),
        sort: vec![Sort { field: "last_interaction_at".to_owned(), kind: FieldKind::Instant, descending: true }],
        after: None,
        backward: false,
        limit,
        include_hidden: false,
        with_total: false,
    };
    rows(read, &find).await
}

/// A query in the forms in which it is compared.
struct Asked {
    folded: String,
    words: Vec<String>,
    /// The digits, when the query is nothing but a piece of a phone number.
    digits: Option<String>,
}

impl Asked {
    fn read(q: &str) -> Asked {
        let folded = fold(q);
        let words = words(&folded);
        let is_phone = q.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
        let digits: String = q.chars().filter(char::is_ascii_digit).collect();
        Asked { digits: Some(digits).filter(|digits| is_phone && digits.len() >= PHONE_DIGITS), folded, words }
    }

    /// The best score, and the field that has it; `None` when some word is nowhere.
    fn rate(&self, contact: &Contact, exact: bool) -> Option<(f64, &'static str)> {
        if exact {
            return Some((EXACT, self.exact_field(contact)));
        }
        let texts = texts(contact);
        let phone = contact.phone.as_ref().map(|phone| phone.digits().to_owned());
        if let (Some(digits), Some(phone)) = (&self.digits, &phone)
            && phone.contains(digits.as_str())
        {
            return Some((PHONE, "phone"));
        }
        if let Some(email) = &contact.email
            && self.words.len() == 1
            && email.as_str().contains(&self.folded)
            && !fold(&contact.name).split(' ').any(|word| word.starts_with(&self.folded))
        {
            return Some((EMAIL, "email"));
        }
        let digits = self.digits.as_ref().map(|digits| vec![digits.clone()]);
        let asked = digits.as_ref().unwrap_or(&self.words);
        let best_of = |word: &String| {
            let fits = |text: &str| words(&fold(text)).iter().any(|known| known.starts_with(word)) || ends(text, word);
            let fields = texts.iter().filter(|(_, _, text)| fits(text));
            fields.map(|(field, weight, _)| (*weight, *field)).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let shares: Option<Vec<_>> = asked.iter().map(best_of).collect();
        shares?.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn exact_field(&self, contact: &Contact) -> &'static str {
        let is = |text: &str| fold(text) == self.folded;
        if contact.email.as_ref().is_some_and(|email| is(email.as_str())) {
            "email"
        } else if contact.external_id.as_deref().is_some_and(is) {
            "external_id"
        } else if contact.phone.is_some() && self.digits.is_some() {
            "phone"
        } else {
            "identifiers"
        }
    }
}

fn words(folded: &str) -> Vec<String> {
    folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A run of digits inside a number: the index knows all endings of a number.
fn ends(text: &str, word: &str) -> bool {
    word.len() >= PHONE_DIGITS
        && word.bytes().all(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'+')
        && text.contains(word)
}
