//! How long a call takes in Rust: on the calling thread, and through the runtime and the outbox as an asynchronous client
//! makes it. Prints the medians in microseconds as JSON; `bindings/node/bench/calls.mjs` puts its own beside them.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]

use serde_json::{Value, json};
use std::time::Instant;
use ventros_ffi::Engine;

const CALLS: usize = 5_000;

fn main() {
    let engine = Engine::open(":memory:", br#"{"background": false}"#, None).unwrap();
    let call = |operation: &str, input: &Value, context: &Value| -> Value {
        let (input, context) = (input.to_string(), context.to_string());
        let answer = engine.call(operation, input.as_bytes(), context.as_bytes(), &mut || false);
        serde_json::from_str::<Value>(&answer).unwrap()["ok"].take()
    };
    let project = call("projects.create", &json!({"name": "Acme"}), &json!({}));
    let context = json!({"project_id": project["id"]});
    let contact = call("contacts.create", &json!({"name": "Ana"}), &context);
    let get = json!({"id": contact["id"]}).to_string();
    let context = context.to_string();

    let mut number = 0;
    let mut measured = serde_json::Map::new();
    for operation in ["contacts.get", "contacts.create"] {
        let mut input = || match operation {
            "contacts.get" => get.clone(),
            _ => {
                number += 1;
                format!(r#"{{"name": "Contact {number}"}}"#)
            }
        };
        let direct = median(|| {
            let input = input();
            let started = Instant::now();
            engine.call(operation, input.as_bytes(), context.as_bytes(), &mut || false);
            started.elapsed().as_secs_f64()
        });
        let submitted = median(|| {
            let input = input();
            let started = Instant::now();
            engine.submit(1, operation.to_owned(), input.into_bytes(), context.clone().into_bytes()).unwrap();
            while engine.drain([]).unwrap().is_empty() {
                engine.listen();
            }
            started.elapsed().as_secs_f64()
        });
        measured.insert(operation.to_owned(), json!({"direct": direct, "submitted": submitted}));
    }
    println!("{}", Value::Object(measured));
}

/// The median of many runs in microseconds.
fn median(mut run: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..CALLS).map(|_| run()).collect();
    times.sort_by(f64::total_cmp);
    times[CALLS / 2] * 1e6
}
