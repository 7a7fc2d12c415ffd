//! The acceptance cases of the event log, contact and security pages that are about personal data.

use crate::engine::{Context, Project};
use crate::infrastructure::job::tests::{call, refused};
use crate::kernel::{ActorRef, Component, ErrorCode, ProjectId};
use crate::testing::{World, block_on};
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));

struct Desk {
    world: World,
    project: Project,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let project = world.found(PROJECT);
        Desk { world, project }
    }

    #[track_caller]
    fn ok(&self, operation: &str, input: Value) -> Value {
        call(&self.project, operation, input)
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value) -> ErrorCode {
        refused(&self.project, operation, input)
    }

    fn contact(&self, name: &str, phone: &str) -> Value {
        self.ok("contacts.create", json!({"name": name, "phone": phone, "email": format!("{name}@example.com")}))["id"]
            .clone()
    }

    fn run(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        let report = block_on(self.world.crm.run_pending()).expect("it runs");
        assert_eq!(report.failures, 0, "{}", self.ok("jobs.list", json!({"kind": "privacy.redact"})));
    }

    fn about(&self, contact: &Value) -> Vec<Value> {
        let subject = format!("contact/{}", contact.as_str().expect("an id"));
        let filter = json!({"field": "subject", "op": "contains", "value": subject});
        let list = self.ok("events.list", json!({"filter": filter, "limit": 500}));
        list["items"].as_array().expect("a list").clone()
    }

    /// What was said about the redactions of somebody.
    fn redactions(&self, contact: &Value) -> Vec<(u64, u64)> {
        let touched = |event: &Value| {
            let number = |field: &str| event["data"][field].as_u64().expect("a number");
            (number("events_touched"), number("fields_touched"))
        };
        self.about(contact).iter().filter(|event| event["type"] == "event_log.redacted").map(touched).collect()
    }

    fn redact(&self, contact: &Value) {
        self.ok("privacy.redact", json!({"kind": "contact", "id": contact, "reason": "asked for"}));
        self.run(0);
    }
}

#[test]
fn log_case_18_a_redacted_contact_is_nameless_and_folds() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    desk.ok("contacts.update", json!({"id": ana, "name": "Ana Lima"}));
    let counts = |desk: &Desk| desk.ok("events.count", json!({"group_by": "type"}))["groups"].clone();
    let before = counts(&desk);
    desk.redact(&ana);
    let events = desk.about(&ana);
    assert_eq!(events[0]["data"]["name"], json!({"$redacted": "name"}));
    assert_eq!(events[0]["data"]["phone"], json!({"$redacted": "phone"}));
    assert_eq!(events[1]["data"]["new_name"], json!({"$redacted": "name"}));
    assert_eq!(events[0]["redacted_at"], "2025-01-06T09:00:00.000000Z");
    assert!(desk.redactions(&ana)[0].1 >= 5);
    let after = counts(&desk);
    let same = before.as_array().expect("a list").iter().all(|group| after.as_array().expect("a list").contains(group));
    assert!(same, "{before} became {after}");
    desk.world.assert_log_matches();
    let stored = desk.ok("contacts.get", json!({"id": ana}));
    assert_eq!((&stored["name"], &stored["phone"], &stored["email"]), (&json!("[erased]"), &Value::Null, &Value::Null));
    let past = desk.ok("events.state_at", json!({"kind": "contact", "id": ana, "version": 1}));
    assert_eq!((&past["redacted"], &past["state"]["name"]), (&json!(true), &json!("[erased]")));
    desk.redact(&ana);
    assert_eq!(desk.redactions(&ana)[1], (0, 0), "a second run touches nothing");
    assert_eq!(desk.ok("contacts.search", json!({"q": "Lima"})).as_array().map(Vec::len), Some(0));
}

#[test]
fn many_nameless_contacts_live_side_by_side() {
    let desk = Desk::new();
    let (ana, bia) = (desk.contact("Ana", "+5511999990000"), desk.contact("Bia", "+5511999990001"));
    for contact in [&ana, &bia] {
        desk.ok(
            "contacts.add_identifier",
            json!({"id": contact, "kind": "external", "scope": "erp", "value": contact}),
        );
        desk.redact(contact);
    }
    desk.world.assert_log_matches();
    desk.contact("Cia", "+5511999990000");
}

#[test]
fn a_redaction_is_one_at_a_time() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    let input = json!({"kind": "contact", "id": ana, "reason": "asked for"});
    desk.ok("privacy.redact", input.clone());
    assert_eq!(desk.refused("privacy.redact", input.clone()), ErrorCode::RedactionInProgress);
    desk.run(0);
    desk.ok("privacy.redact", input);
    let unknown = Uuid::from_u128(9);
    for (kind, code) in [
        ("contact", ErrorCode::ContactNotFound),
        ("user", ErrorCode::UserNotFound),
        ("agent", ErrorCode::AgentNotFound),
    ] {
        assert_eq!(desk.refused("privacy.redact", json!({"kind": kind, "id": unknown, "reason": "x"})), code);
    }
    let unsaid = json!({"kind": "contact", "id": ana, "reason": " "});
    assert_eq!(desk.refused("privacy.redact", unsaid), ErrorCode::TextRequired);
}

#[test]
fn what_comes_while_it_goes_on_goes_with_the_second_pass() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    desk.redact(&ana);
    desk.ok("contacts.update", json!({"id": ana, "name": "Ana once more"}));
    desk.run(599);
    assert_eq!(desk.redactions(&ana).len(), 1);
    desk.run(1);
    assert_eq!(desk.redactions(&ana)[1].0, 1);
    assert_eq!(desk.ok("contacts.get", json!({"id": ana}))["name"], "[erased]");
    desk.world.assert_log_matches();
    desk.run(3_600);
    assert_eq!(desk.redactions(&ana).len(), 2);
}

#[test]
fn contact_case_25_an_erased_contact_is_gone_for_good() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    let erase =
        |confirm: &Value| json!({"id": ana, "confirm": confirm, "legal_basis": "gdpr_art17", "request_ref": "T-1"});
    assert_eq!(desk.refused("contacts.erase", erase(&json!("yes"))), ErrorCode::ConfirmationMismatch);
    let erased = desk.ok("contacts.erase", erase(&ana));
    assert_eq!(
        (&erased["name"], &erased["status"], &erased["phone"]),
        (&json!("[erased]"), &json!("erased"), &Value::Null)
    );
    // The number is free at once; what was stored goes as soon as the work is done.
    let next = desk.contact("Ana", "+5511999990000");
    assert_ne!(next, ana);
    desk.run(0);
    for event in desk.about(&ana) {
        assert!(!event.to_string().contains("5511999990000") && !event.to_string().contains("Ana"), "{event}");
    }
    assert_eq!(desk.redactions(&ana).len(), 1);
    desk.world.assert_log_matches();
    assert_eq!(desk.ok("contacts.get", json!({"id": next}))["name"], "Ana", "her namesake stays");
    assert_eq!(desk.refused("contacts.erase", erase(&ana)), ErrorCode::ContactErased);
    assert_eq!(desk.refused("contacts.restore", json!({"id": ana})), ErrorCode::ContactNotActive);
    assert_eq!(desk.refused("contacts.get", json!({"id": ana})), ErrorCode::ContactNotFound);
    desk.ok("contacts.delete", json!({"id": next}));
    desk.ok("contacts.erase", json!({"id": next, "confirm": next, "legal_basis": "other"}));
}

#[test]
fn an_answer_that_was_erased_is_not_given_again() {
    let desk = Desk::new();
    let mut context = Context::new(Some(PROJECT), ActorRef::system(Component::Host));
    context.idempotency_key = Some("once".to_owned());
    let input = json!({"name": "Ana"}).to_string();
    let create = || block_on(desk.world.crm.call("contacts.create", context.clone(), input.as_bytes()));
    let first: Value = serde_json::from_str(&create().expect("created")).expect("JSON");
    assert!(create().expect("the same").contains("Ana"));
    desk.redact(&first["id"]);
    assert_eq!(create().map_err(|error| error.code()), Err(ErrorCode::IdempotencyKeyReused));
}

#[test]
fn traces_of_jobs_go_and_those_of_others_stay() {
    let desk = Desk::new();
    let (ana, bia) = (desk.contact("Ana", "+5511999990000"), desk.contact("Bia", "+5511999990001"));
    let job = |payload: Value| {
        let job = desk.ok("jobs.enqueue", json!({"kind": "host.mail", "payload": payload}))["id"].clone();
        desk.ok("jobs.cancel", json!({"id": job}));
        job
    };
    let (by_id, by_number) = (job(json!({"contact_id": ana})), job(json!({"to": "tel:5511999990000"})));
    let of_another = job(json!({"contact_id": bia}));
    desk.redact(&ana);
    for gone in [by_id, by_number] {
        assert_eq!(desk.refused("jobs.get", json!({"id": gone})), ErrorCode::JobNotFound);
    }
    desk.ok("jobs.get", json!({"id": of_another}));
}

/// What became of a try is told longer than the last error.
#[test]
fn a_job_whose_tries_name_somebody_goes_with_them() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    let job = desk.ok("jobs.enqueue", json!({"kind": "host.mail"}))["id"].clone();
    let retry = json!({"type": "retry", "error": "no answer from tel:5511999990000", "after_seconds": 0});
    for outcome in [retry, json!({"type": "done"})] {
        let claimed = desk.ok("jobs.claim", json!({"kinds": ["host.mail"]}))[0].clone();
        let report = json!({"id": job, "lease_token": claimed["lease_token"], "outcome": outcome});
        desk.ok("jobs.report", report);
    }
    let done = desk.ok("jobs.get", json!({"id": job}));
    assert_eq!((&done["last_error"], done["history"].as_array().map(Vec::len)), (&Value::Null, Some(2)));
    desk.redact(&ana);
    assert_eq!(desk.refused("jobs.get", json!({"id": job})), ErrorCode::JobNotFound);
}

/// What is told of refused calls.
fn denials(desk: &Desk) -> Vec<Value> {
    let filter = json!({"field": "type", "op": "eq", "value": "audit.access_denied"});
    desk.ok("privacy.audit", json!({"filter": filter}))["items"].as_array().expect("a list").clone()
}

#[test]
fn security_case_07_refusals_are_counted_for_a_minute() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    let user = block_on(desk.world.crm.call(
        "users.create",
        Context::new(None, ActorRef::system(Component::Host)),
        json!({"name": "Eva", "email": "eva@example.com"}).to_string().as_bytes(),
    ));
    let user: Value = serde_json::from_str(&user.expect("created")).expect("JSON");
    desk.ok("members.add", json!({"user_id": user["id"], "role": "viewer"}));
    let eva = crate::kernel::UserId::parse(user["id"].as_str().expect("an id")).expect("an id");
    let try_it = |operation: &str| {
        let input = json!({"id": ana, "reason": "x"}).to_string();
        let context = Context::new(Some(PROJECT), ActorRef::user(eva));
        block_on(desk.world.crm.call(operation, context, input.as_bytes())).map_err(|error| error.code())
    };
    for _ in 0..99 {
        assert_eq!(try_it("contacts.delete"), Err(ErrorCode::PermissionDenied));
    }
    desk.run(59);
    assert!(denials(&desk).is_empty(), "they are still counted");
    assert_eq!(try_it("contacts.delete"), Err(ErrorCode::PermissionDenied));
    desk.run(1);
    let told = denials(&desk);
    assert_eq!(told.len(), 1);
    let data = &told[0]["data"];
    assert_eq!((&data["count"], &data["permission"]), (&json!(100), &json!("contacts.delete")));
    assert_eq!(
        (&data["command"], &data["target_kind"], &data["target_id"]),
        (&json!("contacts.delete"), &json!("contact"), &ana)
    );
    assert_eq!(told[0]["actor"]["id"], user["id"]);
    // Another minute is another event; what is left is told when the house is closed.
    assert_eq!(try_it("contacts.delete"), Err(ErrorCode::PermissionDenied));
    desk.run(60);
    assert_eq!(denials(&desk).len(), 2);
    assert_eq!(try_it("contacts.delete"), Err(ErrorCode::PermissionDenied));
    block_on(crate::infrastructure::audit::flush_denials(&desk.world.crm, true)).expect("told");
    assert_eq!(denials(&desk).len(), 3);
}

#[test]
fn the_trail_is_read_backward_type_by_type() {
    let desk = Desk::new();
    let ana = desk.contact("Ana", "+5511999990000");
    for number in 0..130 {
        desk.ok("projects.update", json!({"name": format!("Acme {number}")}));
        desk.contact(&format!("c{number}"), &format!("+55119{:08}", 80_000_000 + number));
    }
    desk.ok("privacy.export", json!({"kind": "contact", "id": ana}));
    let mut seen: Vec<Value> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = desk.ok("privacy.audit", json!({"limit": 7, "cursor": cursor}));
        seen.extend(page["items"].as_array().expect("a list").clone());
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let seqs: Vec<u64> = seen.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    assert!(seqs.is_sorted_by(|a, b| a > b), "newest first, each once: {seqs:?}");
    assert_eq!(seen[0]["type"], "privacy.exported");
    let all = desk.ok("events.list", json!({"limit": 500}));
    let audited = |event: &&Value| {
        ["project.", "privacy."].iter().any(|kind| event["type"].as_str().expect("a type").starts_with(kind))
    };
    assert_eq!(seen.len(), all["items"].as_array().expect("a list").iter().filter(audited).count());
    let about_ana =
        json!({"field": "subject", "op": "contains", "value": format!("contact/{}", ana.as_str().expect("an id"))});
    assert_eq!(desk.ok("privacy.audit", json!({"filter": about_ana}))["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(desk.refused("privacy.audit", json!({"cursor": "x"})), ErrorCode::CursorInvalid);
}

#[test]
fn a_document_has_everything_about_a_person() {
    let desk = Desk::new();
    let (ana, bia) = (desk.contact("Ana", "+5511999990000"), desk.contact("Bia", "+5511999990001"));
    desk.ok("contacts.update", json!({"id": ana, "name": "Ana Lima"}));
    desk.run(0);
    let document = desk.ok("privacy.export", json!({"kind": "contact", "id": ana}));
    assert_eq!((&document["state"]["name"], &document["next"]), (&json!("Ana Lima"), &Value::Null));
    let types: Vec<&str> = document["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(types, ["contact.created", "contact.name_changed"]);
    let related = document["related"].as_array().expect("a list");
    assert!(related.iter().all(|part| part["state"]["contact_id"] == ana) && !related.is_empty(), "{document}");
    assert!(!document.to_string().contains("Bia"));
    assert_eq!(desk.about(&ana).last().map(|event| event["type"].clone()), Some(json!("privacy.exported")));
    assert_eq!(
        desk.refused("privacy.export", json!({"kind": "contact", "id": Uuid::from_u128(9)})),
        ErrorCode::ContactNotFound
    );
    desk.ok("privacy.export", json!({"kind": "contact", "id": bia, "after": "1"}));
    assert!(desk.about(&bia).iter().all(|event| event["type"] != "privacy.exported"), "a later part is not told again");
}

#[test]
fn somebody_unknown_who_knocks_is_told_of_once_a_minute() {
    let desk = Desk::new();
    let system = || Context::new(None, ActorRef::system(Component::Host));
    for _ in 0..50 {
        let input = json!({"api_key": "vk_unknown_key"}).to_string();
        assert!(block_on(desk.world.crm.call("users.authenticate", system(), input.as_bytes())).is_err());
    }
    desk.run(60);
    let log = crate::storage::EventQuery {
        types: vec!["audit.login_failed".to_owned()],
        limit: 10,
        ..crate::storage::EventQuery::default()
    };
    let storage = desk.world.crm.core().storage();
    let told = block_on(storage.events(crate::storage::Scope::Project(ProjectId::SYSTEM), &log)).expect("readable");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].data.get().contains("\"count\":50") && !told[0].data.get().contains("vk_unknown"),
        "{}",
        told[0].data
    );
}

#[test]
fn security_health_says_what_to_look_at() {
    let unsealed = Desk::new();
    let bare = unsealed.ok("privacy.security_health", json!({}));
    assert_eq!(bare["findings"], json!(["encryption_not_configured"]));
    assert_eq!((&bare["store"]["kind"], &bare["outbound"]["enabled"]), (&json!("memory"), &json!(false)));

    let world = World::with_vault();
    let desk = Desk { project: world.found(PROJECT), world };
    let look = |at: &str| {
        let health = desk.ok("privacy.security_health", json!({}));
        (health[at].clone(), health["findings"].clone())
    };
    assert_eq!(look("findings").0, json!([]));
    let line = |name: &str, secrets: Value| {
        let channel = json!({"name": name, "type": "waha", "external_id": name, "secrets": secrets,
            "config": {"base_url": "https://waha.example.com"}});
        let id = desk.ok("channels.create", channel)["id"].clone();
        desk.ok("channels.activate", json!({"id": id}));
        let state = json!({"id": id, "connection": "connected", "webhook_active": true});
        desk.ok("channels.report_connection", state);
        id
    };
    line("signed", json!({"api_key": "k1", "webhook_hmac_key": "0123456789abcdef0123456789abcdef"}));
    assert_eq!(look("unsigned_channels"), (json!({"count": 0, "channels": []}), json!([])));
    let open = line("open", json!({"api_key": "k2"}));
    let named = json!([{"project_id": desk.project.id(), "channel_id": open}]);
    let (unsigned, findings) = look("unsigned_channels");
    assert_eq!((&unsigned["channels"], findings), (&named, json!(["channels_unsigned"])));

    let keys = |days: i64| {
        desk.world.clock.advance_seconds(days * 86_400);
        let (found, findings) = look("encryption");
        (found["data_keys"].clone(), found["near_their_age"].clone(), found["too_old"].clone(), findings[0].clone())
    };
    let one = |near: u64, old: u64, finding: &str| (json!(1), json!(near), json!(old), json!(finding));
    assert_eq!(keys(335), one(0, 0, "channels_unsigned"));
    assert_eq!(keys(1), one(1, 0, "keys_near_their_age"));
    assert_eq!(keys(30), one(0, 1, "keys_too_old"));
    assert_eq!(look("encryption").0["keys"][0]["age_days"], 366);
    desk.ok("credentials.rotate_keys", json!({"project_id": desk.project.id()}));
    desk.run(1);
    assert_eq!(keys(0), one(0, 0, "channels_unsigned"), "the newest key of a project counts");
}
