//! Every field of every operation is given what it does not want. Whatever happens must be an error that says which field
//! and why, or a success that both stores agree on; nothing may panic, and what was refused has changed nothing.
//! `VENTROS_FUZZ=all` tries everything; otherwise each run tries a part, the same one every time.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod codes;
#[path = "../directory/mod.rs"]
mod directory;
mod hostile;
mod schema;
mod twins;

use schema::{Place, Schemas};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use twins::{Answer, OURS, THEIRS, Twins, place};
use ventros::catalogue::{Catalogue, OperationDoc};
use ventros::engine::OperationKind;
use ventros::kernel::{Error, ErrorKind};

/// Errors are read by people and kept in logs: they do not repeat a megabyte of input.
const ERROR_BYTES: usize = 12_000;

/// How long one call may take, in a debug build on a busy machine.
const SLOW: Duration = Duration::from_secs(10);

/// What the answer to an input must be.
enum Must {
    /// Any that is in order.
    Stand,
    /// An error at this place.
    Fail(String),
    /// No change: the id belongs to the neighbour.
    BeOurs,
}

/// Of so many values one is tried, unless all are asked for.
const PART: usize = 9;

struct Try<'p> {
    place: &'p Place,
    input: String,
    must: Must,
}

struct Run<'c> {
    /// Everything, not only a part.
    all: bool,

    catalogue: &'c Catalogue,
    twins: RefCell<Twins>,
    /// What went wrong, once for each operation, place and rule.
    wrong: BTreeMap<String, String>,
    codes: BTreeSet<&'static str>,
    calls: u64,
    /// What the present operation should take.
    base: String,
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let catalogue = Catalogue::build();
    let only = std::env::var("VENTROS_FUZZ_ONLY").ok();
    let mut run = Run {
        all: std::env::var("VENTROS_FUZZ").is_ok_and(|wanted| wanted == "all"),
        catalogue: &catalogue,
        twins: RefCell::new(Twins::new()),
        wrong: BTreeMap::new(),
        codes: BTreeSet::new(),
        calls: 0,
        base: String::new(),
    };
    for operation in &catalogue.operations {
        if only.as_ref().is_none_or(|only| operation.name.starts_with(only.as_str())) {
            run.operation(operation);
        }
    }
    eprintln!("{} calls, {} codes", run.calls, run.codes.len());
    let report: Vec<String> = run.wrong.iter().map(|(what, how)| format!("{what}\n      {how}")).collect();
    assert!(report.is_empty(), "{} findings:\n{}", report.len(), report.join("\n"));
    run.twins.borrow().assert_log_matches();
    if only.is_none() {
        codes::check(&run.codes);
    }
}

impl Run<'_> {
    fn operation(&mut self, operation: &OperationDoc) {
        let start = std::time::Instant::now();
        let before = self.calls;
        let twins = self.twins.borrow();
        let id = |name: &str| twins.id(OURS, name);
        let schemas = Schemas { definitions: &self.catalogue.definitions, id: &id };
        let places = schemas.places(&operation.input);
        let base = schemas.sample(&operation.input, "").to_string();
        let mut tries = Vec::new();
        for place in &places {
            let build = |leaf: Option<&Value>| hostile::text(&schemas.build(&operation.input, &place.trail, leaf));
            let values = hostile::everywhere().into_iter().chain(self.all.then(hostile::huge).into_iter().flatten());
            for (number, value) in values.enumerate() {
                // The same part for every run, another one for every place.
                let is_chosen = self.all || (number + tries.len()).is_multiple_of(PART);
                if !is_chosen {
                    continue;
                }
                let must = if hostile::breaks(&place.schema, &value) { Must::Fail(place.path()) } else { Must::Stand };
                tries.push(Try { place, input: build(Some(&value)), must });
            }
            if place.is_required {
                tries.push(Try { place, input: build(None), must: Must::Fail(place.path()) });
            }
            if place.schema["additionalProperties"] == false {
                let mut object = schemas.sample(&place.schema, "");
                object["unheard_of"] = Value::from(1);
                let must = Must::Fail(format!("{}.unheard_of", place.path()));
                tries.push(Try { place, input: build(Some(&object)), must });
            }
            if let Some(foreign) = place.schema["x-id"].as_str().and_then(|name| twins.foreign_id(name)) {
                tries.push(Try { place, input: build(Some(&foreign.into())), must: Must::BeOurs });
            }
        }
        drop(twins);
        let whole = Place { trail: Vec::new(), schema: Value::Null, is_required: false };
        let mut strange = serde_json::from_str::<Value>(&base).unwrap();
        strange["unheard_of"] = Value::from(1);
        let must = Must::Fail("unheard_of".to_owned());
        tries.push(Try { place: &whole, input: strange.to_string(), must });
        for input in ["", " ", "[]", "[1]", "null", "1", "{", "{}{}", "\"text\"", "{\"a\":1,\"a\":2}"] {
            tries.push(Try { place: &whole, input: input.to_owned(), must: Must::Stand });
        }
        self.base = base;
        for one in tries {
            self.attempt(operation, &one);
        }
        let (calls, took) = (self.calls - before, start.elapsed());
        if took.as_millis() > 500 {
            eprintln!("{}: {} places, {calls} calls, {took:?}", operation.name, places.len());
        }
    }

    /// Whether the operation still finds what it needs.
    fn works_again(&self, operation: &OperationDoc) -> bool {
        let answer = self.twins.borrow().call(place(operation.scope), operation.name, self.base.as_bytes());
        matches!(answer, Answer::Done(_))
    }

    fn attempt(&mut self, operation: &OperationDoc, one: &Try<'_>) {
        self.calls += 1;
        let Try { place: at, input, must } = one;
        let before = self.twins.borrow().heads();
        let start = Instant::now();
        let answer = self.twins.borrow().call(place(operation.scope), operation.name, input.as_bytes());
        let took = start.elapsed();
        let after = self.twins.borrow().heads();
        let mut complain = |rule: &str, how: String| {
            let key = format!("{} {} {rule}", operation.name, at.path());
            let input: String = input.chars().take(300).collect();
            self.wrong.entry(key).or_insert_with(|| format!("{how} <- {input}"));
        };
        match &answer {
            Answer::Panicked(how) => complain("panic", how.clone()),
            Answer::Torn(how) => complain("torn", how.chars().take(600).collect()),
            Answer::Done(output) => {
                let is_command = operation.kind == OperationKind::Command;
                let is_strange = match must {
                    Must::Stand => false,
                    Must::Fail(_) => true,
                    Must::BeOurs => is_command && before != after && place(operation.scope).is_some(),
                };
                if is_strange {
                    complain("accepted", output.chars().take(100).collect());
                }
                if operation.kind == OperationKind::Query && before != after {
                    complain("query wrote", String::new());
                }
            }
            Answer::Refused(error) => {
                if before != after {
                    complain("refused and wrote", format!("{error:?}"));
                }
                let has_place = !at.trail.is_empty();
                for problem in problems(operation, &self.catalogue.errors_of_every_call, must, error) {
                    if has_place || problem != "no field" {
                        complain(&problem, short(error));
                    }
                }
            }
        }
        if took > SLOW {
            complain("slow", format!("{took:?}"));
        }
        if before[0].get(&THEIRS) != after[0].get(&THEIRS) && place(operation.scope).is_some() {
            complain("wrote to the neighbour", String::new());
        }
        if let Answer::Refused(error) = &answer {
            self.codes.extend(error.all().map(|error| error.code().as_str()));
        }
        let is_broken_world = matches!(answer, Answer::Panicked(_) | Answer::Torn(_));
        if is_broken_world || (before != after && !self.works_again(operation)) {
            self.twins.borrow_mut().restore();
        }
    }
}

fn short(error: &Error) -> String {
    format!("{error:?}").chars().take(300).collect()
}

/// What is wrong with an error.
fn problems(operation: &OperationDoc, everywhere: &[&str], must: &Must, error: &Error) -> Vec<String> {
    let mut problems = Vec::new();
    let faults = [ErrorKind::Internal, ErrorKind::CorruptData, ErrorKind::Unavailable, ErrorKind::Timeout];
    if faults.contains(&error.kind()) {
        problems.push("our fault".to_owned());
    }
    if serde_json::to_string(error).unwrap().len() > ERROR_BYTES {
        problems.push("long error".to_owned());
    }
    let is_syntax = error.details().contains_key("column");
    if let Must::Fail(path) = must {
        // Of several forms without a tag nobody knows which one was meant.
        let is_form = error.text().contains("none of the allowed forms");
        let is_it = |field: &str| field == path || (is_form && path.starts_with(field));
        if !error.all().filter_map(Error::field).any(is_it) {
            problems.push("other field".to_owned());
        }
    }
    for error in error.all() {
        if error.kind() == ErrorKind::Validation && error.field().is_none() && !is_syntax {
            problems.push("no field".to_owned());
        }
        let is_known = |code: &str| operation.errors.contains(&code) || everywhere.contains(&code);
        if !is_known(error.code().as_str()) {
            problems.push(format!("undocumented {}", error.code().as_str()));
        }
    }
    problems
}
