//! Laws: the log gives the snapshots, and the order of inbound items does not matter.

use super::*;
use proptest::prelude::*;

/// What of a contact must not depend on the order of its items: everything but ids, counts and the moment of creation.
fn essence(contact: Contact) -> serde_json::Value {
    let mut json = serde_json::to_value(contact).unwrap();
    let fields = json.as_object_mut().unwrap();
    for field in ["id", "version", "revision", "created_at", "updated_at"] {
        fields.remove(field);
    }
    json
}

fn settle(items: &[Hear]) -> Vec<serde_json::Value> {
    let desk = Desk::new();
    items.iter().for_each(|item| drop(desk.run(item.clone())));
    desk.world.assert_log_matches();
    let all = desk.ask(ListContacts::default()).items;
    let mut all: Vec<_> = all.into_iter().map(essence).collect();
    all.sort_by_key(serde_json::Value::to_string);
    all
}

/// An item of one of two people, who are always known by their lid and sometimes by more.
fn item() -> impl Strategy<Value = Hear> {
    let name = prop::option::of(prop::sample::select(vec!["Ana", "Bea", "Carla"]));
    (0..2u8, any::<bool>(), any::<bool>(), name, 0..6u32).prop_map(|(person, with_wid, with_jid, name, minute)| {
        let number = format!("551199999000{person}");
        Hear {
            who: Identifiers {
                lid: Some(format!("77{person}@lid")),
                wid: with_wid.then(|| format!("{number}@c.us")),
                jid: with_jid.then(|| format!("{number}:3@s.whatsapp.net")),
                display_name: name.map(str::to_owned),
                ..Identifiers::default()
            },
            at: time(&format!("2025-01-06T08:0{minute}:00Z")),
            text: Some("Oi".into()),
        }
    })
}

/// One arbitrary change of one of three contacts.
#[derive(Debug, Clone)]
enum Step {
    Create(Option<u8>),
    Update(usize, UpdateContactFields),
    Tag(usize, u8, bool),
    Delete(usize),
    Restore(usize),
    Consent(usize, bool),
    Hear(u8),
}

#[derive(Debug, Clone)]
struct UpdateContactFields {
    name: Option<u8>,
    phone: Option<Option<u8>>,
    email: Option<Option<u8>>,
    tags: Option<Vec<u8>>,
    custom: Option<Option<i64>>,
    company: Option<Option<u8>>,
    keep: bool,
    fill: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let patch = || prop::option::of(prop::option::of(0..4u8));
    let fields = (
        prop::option::of(0..4u8),
        patch(),
        patch(),
        prop::option::of(prop::collection::vec(0..5u8, 0..4)),
        prop::option::of(prop::option::of(0..3i64)),
        patch(),
        any::<bool>(),
        any::<bool>(),
    );
    let fields = fields.prop_map(|(name, phone, email, tags, custom, company, keep, fill)| UpdateContactFields {
        name,
        phone,
        email,
        tags,
        custom,
        company,
        keep,
        fill,
    });
    prop_oneof![
        2 => prop::option::of(0..4u8).prop_map(Step::Create),
        6 => (0..4usize, fields).prop_map(|(at, fields)| Step::Update(at, fields)),
        2 => (0..4usize, 0..5u8, any::<bool>()).prop_map(|(at, tag, on)| Step::Tag(at, tag, on)),
        1 => (0..4usize).prop_map(Step::Delete),
        1 => (0..4usize).prop_map(Step::Restore),
        1 => (0..4usize, any::<bool>()).prop_map(|(at, yes)| Step::Consent(at, yes)),
        2 => (0..4u8).prop_map(Step::Hear),
    ]
}

fn phone(n: u8) -> String {
    format!("+551199999000{n}")
}

fn patch<T>(change: &Option<Option<T>>, text: impl Fn(&T) -> String) -> Patch<String> {
    match change {
        None => Patch::Absent,
        Some(None) => Patch::Null,
        Some(Some(value)) => Patch::Value(text(value)),
    }
}

impl Desk {
    /// Runs a step; that it may be refused is part of the game.
    fn take(&self, step: &Step, ids: &mut Vec<ContactId>) -> Result<()> {
        let pick = |at: &usize, ids: &[ContactId]| ids.get(at % ids.len().max(1)).copied();
        match step {
            Step::Create(number) => {
                let phone = number.map(phone);
                ids.push(self.attempt(CreateContact { phone, ..named("Ana") })?.id);
            }
            Step::Update(at, fields) => {
                let Some(id) = pick(at, ids) else { return Ok(()) };
                let mut update = UpdateContact::new(id);
                update.name = fields.name.map_or(Patch::Absent, |n| set(&format!("Name {n}")));
                update.phone = patch(&fields.phone, |n| phone(*n));
                update.email = patch(&fields.email, |n| format!("a{n}@x.co"));
                update.company = patch(&fields.company, |n| format!("Company {n}"));
                if let Some(tags) = &fields.tags {
                    update.tags = Patch::Value(tags.iter().map(|n| format!("tag {n}")).collect());
                }
                if let Some(custom) = fields.custom {
                    update.custom_fields.insert("size".into(), json!(custom).into());
                }
                update.keep_previous = Some(fields.keep);
                update.mode = fields.fill.then_some(WriteMode::FillBlanks);
                self.attempt(update)?;
            }
            Step::Tag(at, tag, on) => {
                let Some(id) = pick(at, ids) else { return Ok(()) };
                let tag = crate::kernel::Tag::parse(&format!("tag {tag}"))?;
                if *on {
                    self.attempt(AddTag { id, tag })?;
                } else {
                    self.attempt(RemoveTag { id, tag })?;
                }
            }
            Step::Delete(at) => {
                let Some(id) = pick(at, ids) else { return Ok(()) };
                self.attempt(DeleteContact { id, reason: None })?;
            }
            Step::Restore(at) => {
                let Some(id) = pick(at, ids) else { return Ok(()) };
                self.attempt(RestoreContact { id })?;
            }
            Step::Consent(at, yes) => {
                let Some(id) = pick(at, ids) else { return Ok(()) };
                let status = if *yes { ConsentStatus::OptedIn } else { ConsentStatus::OptedOut };
                let source = Some("form".to_owned());
                self.attempt(SetConsent { id, family: ChannelFamily::Sms, status, source, evidence: None })?;
            }
            Step::Hear(n) => {
                let who = called(wid(&phone(*n)[1..]), &format!("Push {n}"));
                let heard = self.attempt(Hear { who, at: time("2025-01-06T08:00:00Z"), text: Some("Oi".into()) })?;
                if !ids.contains(&heard.id) {
                    ids.push(heard.id);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_of_inbound_items_gives_the_same_contacts(
        (items, shuffled) in prop::collection::vec(item(), 1..8)
            .prop_flat_map(|items| (Just(items.clone()), Just(items).prop_shuffle()))
    ) {
        prop_assert_eq!(settle(&items), settle(&shuffled));
    }

    #[test]
    fn the_log_gives_the_snapshots(steps in prop::collection::vec(step(), 1..25)) {
        let desk = Desk::new();
        let mut ids = Vec::new();
        for step in &steps {
            if let Err(error) = desk.take(step, &mut ids) {
                prop_assert_ne!(error.code(), ErrorCode::Internal, "{:?}", error);
            }
        }
        desk.world.assert_log_matches();
        // Nobody shares an identity with another active contact.
        let contacts = desk.ask(ListContacts::default()).items;
        let keys: Vec<_> = contacts.iter().flat_map(Contact::unique_keys).collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        prop_assert_eq!(keys.len(), distinct.len());
    }
}
