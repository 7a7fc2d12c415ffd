//! Two engines on one PostgreSQL database, as two programs have them.
#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../../storage-postgres/tests/cluster/mod.rs"]
mod cluster;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use ventros_ffi::{Delivery, Engine, Settled};

const TOKEN: u64 = 7;
/// What is not heard of at once is found by looking, which happens every second.
const AT_ONCE: Duration = Duration::from_millis(400);

fn call(engine: &Engine, operation: &str, input: &Value, context: &Value) -> Value {
    let (input, context) = (input.to_string(), context.to_string());
    let answer = engine.call(operation, input.as_bytes(), context.as_bytes(), &mut || false);
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer.get("error").is_none(), "{operation}: {answer}");
    answer["ok"].take()
}

#[test]
fn what_one_program_commits_another_one_hears_at_once() {
    let address = cluster::fresh();
    let open = || Engine::open(&address, b"{}", None).unwrap();
    let (one, two) = (open(), open());
    let project = call(&one, "projects.create", &json!({"name": "Acme"}), &json!({}));
    let shop = json!({"project_id": project["id"]});
    let wanted = json!({"kind": "live", "project_id": project["id"], "events": ["contact.created"]});
    two.subscribe(TOKEN, wanted.to_string().as_bytes()).unwrap();
    let mut delays = Vec::new();
    for number in 0..60 {
        call(&one, "contacts.create", &json!({"name": format!("n{number}")}), &shop);
        let committed = Instant::now();
        let mut heard = 0;
        while heard == 0 {
            assert!(two.listen());
            heard = two.drain([]).unwrap().iter().filter(|delivery| Delivery::token(delivery) == TOKEN).count();
        }
        delays.push(committed.elapsed());
        two.drain([Settled { token: TOKEN, done: 0, error: None }]).unwrap();
    }
    delays.sort_unstable();
    eprintln!("from commit to callback: half in {:?}, nearly all in {:?}", delays[30], delays[57]);
    assert!(delays[30] < AT_ONCE, "{delays:?}");
    let page = call(&two, "contacts.list", &json!({"limit": 100, "with_total": true}), &shop);
    assert_eq!(page["total"], 60);
}
