//! Finding contacts: by an identifier, by a filter, by text.

use super::identity::{EMAIL, Identifier, IdentityKey};
use super::policy::Policy;
use super::state::Contact;
use crate::engine::{Aggregate, Reader};
use crate::kernel::{CustomFieldType, Phone, Result, Timestamp};
use crate::storage::{
    FieldKind, Fields, Filter, FilterExpression, Find, KeyRef, Leaf, Operator, Page, PageRequest, Sort, Test, Value,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Contacts read at a time.
const PAGE: usize = 500;

/// The active contact that is known under an id. Where e-mail addresses need not be unique, the oldest one with that address.
pub(super) async fn by_identifier(read: &Reader<'_>, identifier: &Identifier) -> Result<Option<Contact>> {
    let key = identifier.key();
    let found = read.by_key::<Contact>(key.space, &key.scope, &key.key).await?;
    if found.is_some() || key.space != EMAIL {
        return Ok(found);
    }
    oldest_with_email(read, &key.key).await
}

/// The contact that has had an e-mail address the longest, where several may have it.
pub(super) async fn oldest_with_email(read: &Reader<'_>, email: &str) -> Result<Option<Contact>> {
    let find = oldest_first(Filter::eq("email", FieldKind::Text, email), 1);
    Ok(rows(read, &find).await?.pop())
}

fn oldest_first(filter: Filter, limit: usize) -> Find {
    Find {
        filter,
        sort: vec![Sort { field: "created_at".to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit,
        include_hidden: false,
        with_total: false,
    }
}

/// The active contacts that are known under `identifiers`, all of one kind, by the place of the identifier.
pub(super) async fn by_identifiers(
    read: &Reader<'_>,
    identifiers: &[(usize, Identifier)],
) -> Result<BTreeMap<usize, Contact>> {
    let keys: Vec<(usize, IdentityKey)> = identifiers.iter().map(|(place, one)| (*place, one.key())).collect();
    let Some(space) = keys.first().map(|(_, key)| key.space) else { return Ok(BTreeMap::new()) };
    let asked: Vec<KeyRef<'_>> =
        keys.iter().map(|(_, key)| KeyRef { scope: &key.scope, key: key.key.as_str() }).collect();
    let holders = read.storage().find_holders(read.scope_of(Contact::KIND), Contact::KIND, space, &asked).await?;
    let mut held: HashMap<(String, String), Contact> = HashMap::new();
    for holder in holders {
        held.insert((holder.scope, holder.key), crate::engine::decode(&holder.snapshot)?);
    }
    let mut found = BTreeMap::new();
    let mut shared = Vec::new();
    for (place, key) in keys {
        match held.get(&(key.scope, key.key.clone())) {
            Some(contact) => {
                found.insert(place, contact.clone());
            }
            None if space == EMAIL => shared.push((place, key.key)),
            None => {}
        }
    }
    if !shared.is_empty() {
        let oldest = oldest_with_emails(read, shared.iter().map(|(_, email)| email.as_str()).collect()).await?;
        found.extend(shared.into_iter().filter_map(|(place, email)| Some((place, oldest.get(&email)?.clone()))));
    }
    Ok(found)
}

/// As [`oldest_with_email`], for many addresses at once.
async fn oldest_with_emails(read: &Reader<'_>, emails: BTreeSet<&str>) -> Result<HashMap<String, Contact>> {
    let test = Test::In(emails.into_iter().map(|email| Value::from(email).comparable(FieldKind::Text)).collect());
    let filter = Filter::Leaf(Leaf { field: "email".to_owned(), kind: FieldKind::Text, is_attribute: false, test });
    let mut find = oldest_first(filter, PAGE);
    let mut oldest = HashMap::new();
    loop {
        let found = read.storage().find(read.scope_of(Contact::KIND), Contact::KIND, &find).await?;
        for row in &found.rows {
            let contact: Contact = crate::engine::decode(&row.snapshot)?;
            if let Some(email) = &contact.email {
                oldest.entry(email.as_str().to_owned()).or_insert(contact);
            }
        }
        match found.rows.last() {
            Some(last) if found.more => find.after = Some((last.keys.clone(), last.snapshot.id)),
            _ => return Ok(oldest),
        }
    }
}

/// The contacts of a find, in its order.
pub(super) async fn rows(read: &Reader<'_>, find: &Find) -> Result<Vec<Contact>> {
    let found = read.storage().find(read.scope_of(Contact::KIND), Contact::KIND, find).await?;
    found.rows.iter().map(|row| crate::engine::decode(&row.snapshot)).collect()
}

/// One page of contacts. A filter that names `status` sees contacts of every status.
pub(super) async fn page(read: &Reader<'_>, request: &PageRequest) -> Result<Page<Contact>> {
    let policy = Policy::of(read).await?;
    let every_status = request.filter.as_ref().is_some_and(|filter| filter.names("status"));
    let request = PageRequest {
        filter: request.filter.clone().map(|filter| translated(filter, &policy)),
        include_deleted: request.include_deleted || every_status,
        ..request.clone()
    };
    let find = request.find(&fields(&policy), read.now())?;
    let found = read.storage().find(read.scope_of(Contact::KIND), Contact::KIND, &find).await?;
    request.page(&find, found, crate::engine::decode)
}

/// How many contacts satisfy a filter.
pub(super) async fn count(read: &Reader<'_>, filter: Option<FilterExpression>) -> Result<u64> {
    let policy = Policy::of(read).await?;
    let every_status = filter.as_ref().is_some_and(|filter| filter.names("status"));
    let checked = match filter {
        Some(filter) => checked(filter, &policy, read.now())?,
        None => Filter::everything(),
    };
    read.storage().count(read.scope_of(Contact::KIND), Contact::KIND, &checked, every_status).await
}

fn checked(filter: FilterExpression, policy: &Policy, now: Timestamp) -> Result<Filter> {
    translated(filter, policy).check(&fields(policy), now).map_err(|error| error.at("filter"))
}

/// What a filter may name: the fields of every contact, and the custom ones with the kind of their definition.
fn fields(policy: &Policy) -> Fields {
    let fields = Fields::new(Contact::COLUMNS, Contact::SETS, Contact::CUSTOM).in_zone(policy.zone);
    policy
        .custom_fields
        .iter()
        .fold(fields, |fields, definition| fields.with_custom(definition.key.as_str(), kind(definition.r#type)))
}

const fn kind(custom: CustomFieldType) -> FieldKind {
    use CustomFieldType as T;
    match custom {
        T::Text | T::Select | T::Url | T::Email | T::Phone => FieldKind::Text,
        T::Number => FieldKind::Number,
        T::Boolean => FieldKind::Bool,
        T::Date => FieldKind::Instant,
        T::MultiSelect | T::Label => FieldKind::Set,
        T::Json => FieldKind::Json,
    }
}

/// Brings comparisons into the form of the columns: phones are compared by their digits, and a consent that nobody gave or
/// refused is `unknown`.
fn translated(filter: FilterExpression, policy: &Policy) -> FilterExpression {
    use FilterExpression as F;
    let each = |parts: Vec<F>| parts.into_iter().map(|part| translated(part, policy)).collect();
    match filter {
        F::All { all } => F::All { all: each(all) },
        F::Any { any } => F::Any { any: each(any) },
        F::Not { not } => F::Not { not: Box::new(translated(*not, policy)) },
        F::Comparison { field, op, value, within } if field == "phone" => {
            let value = value.map(|value| phone_value(value, op, policy));
            F::Comparison { field, op, value, within }
        }
        F::Comparison { field, op, value, within } if field.starts_with("consent.") => {
            consent(field, op, value, within)
        }
        other => other,
    }
}

fn phone_value(value: Json, op: Operator, policy: &Policy) -> Json {
    match value {
        Json::Array(values) => Json::Array(values.into_iter().map(|value| phone_value(value, op, policy)).collect()),
        Json::String(text) => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            Json::String(match op {
                Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn => {
                    Phone::parse(&text, policy.region).map_or(text, |parsed| parsed.phone.as_str().to_owned())
                }
                // Nothing to compare by is left to the filter's own checks.
                _ if digits.is_empty() => text,
                Operator::StartsWith => format!("+{digits}"),
                _ => digits,
            })
        }
        other => other,
    }
}

fn consent(field: String, op: Operator, value: Option<Json>, within: Option<String>) -> FilterExpression {
    use FilterExpression as F;
    let names_unknown = match &value {
        Some(Json::String(word)) => word == "unknown",
        Some(Json::Array(words)) => words.iter().any(|word| word == "unknown"),
        _ => false,
    };
    let absent = F::Comparison { field: field.clone(), op: Operator::IsNull, value: None, within: None };
    let present = F::Comparison { field: field.clone(), op: Operator::IsNotNull, value: None, within: None };
    let plain = F::Comparison { field, op, value, within };
    match op {
        Operator::Eq | Operator::In if names_unknown => F::Any { any: vec![plain, absent] },
        Operator::Ne | Operator::NotIn if names_unknown => F::All { all: vec![plain, present] },
        _ => plain,
    }
}
