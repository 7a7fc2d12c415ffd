//! Every field of every operation is given what it does not want. Whatever happens must be an error that says which field
//! and why, or a success that both stores agree on; nothing may panic, and what was refused has changed nothing.
//! `VENTROS_FUZZ=all` tries everything; otherwise each run tries a part, the same one every time.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod codes;
#[path = "../directory/mod.rs"]
mod directory;
#[path = "../furnished/mod.rs"]
mod furnished;
mod hostile;
mod schema;
mod tries;
mod twins;

use furnished::{THEIRS, place};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tries::{Must, Tries, Try};
use twins::{Answer, Twins};
use ventros::catalogue::{Catalogue, OperationDoc};
use ventros::engine::OperationKind;
use ventros::kernel::{Error, ErrorKind};

/// Errors are read by people and kept in logs: they do not repeat a megabyte of input.
const ERROR_BYTES: usize = 12_000;
/// How long one call may take, in a debug build on a busy machine.
const SLOW: Duration = Duration::from_secs(10);

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let catalogue = Catalogue::build();
    let wanted = |name| std::env::var(name).ok();
    let only = wanted("VENTROS_FUZZ_ONLY");
    let mut run = Run {
        all: wanted("VENTROS_FUZZ").is_some_and(|wanted| wanted == "all"),
        catalogue: &catalogue,
        twins: Twins::new(),
        wrong: BTreeMap::new(),
        codes: BTreeSet::new(),
        calls: 0,
    };
    let chosen = |operation: &&OperationDoc| only.as_ref().is_none_or(|only| operation.name.starts_with(only.as_str()));
    catalogue.operations.iter().filter(chosen).for_each(|operation| run.operation(operation));
    eprintln!("{} calls raised {} codes", run.calls, run.codes.len());
    let report: Vec<String> = run.wrong.iter().map(|(what, how)| format!("{what}\n      {how}")).collect();
    assert!(report.is_empty(), "{} findings:\n{}", report.len(), report.join("\n"));
    run.twins.assert_log_matches();
    if only.is_none() {
        codes::check(&run.codes);
    }
}

struct Run<'c> {
    /// Everything, not only a part.
    all: bool,
    catalogue: &'c Catalogue,
    twins: Twins,
    /// What went wrong, once for each operation, place and rule.
    wrong: BTreeMap<String, String>,
    codes: BTreeSet<&'static str>,
    calls: u64,
}

impl Run<'_> {
    fn operation(&mut self, operation: &OperationDoc) {
        let ids = self.twins.ids.clone();
        let schemas = tries::schemas(&self.catalogue.definitions, &ids);
        let tries = Tries { schemas, ids: &ids, input: &operation.input, all: self.all };
        let base = tries.base().to_string();
        let whole = tries.of_the_whole();
        whole.iter().for_each(|one| self.attempt(operation, &base, one));
        for (number, place) in tries.schemas.places(&operation.input).iter().enumerate() {
            tries.at(number, place).for_each(|one| self.attempt(operation, &base, &one));
        }
    }

    fn attempt(&mut self, operation: &OperationDoc, base: &str, one: &Try) {
        self.calls += 1;
        let at = place(operation.scope);
        let before = self.twins.heads();
        let start = Instant::now();
        let answer = self.twins.call(at, operation.name, one.input.as_bytes());
        let took = start.elapsed();
        let after = self.twins.heads();
        let mut complaints: Vec<(String, String)> = Vec::new();
        let mut complain = |rule: &str, how: String| complaints.push((rule.to_owned(), how));
        match &answer {
            Answer::Panicked(how) => complain("panic", how.clone()),
            Answer::Torn(how) => complain("torn", how.clone()),
            Answer::Done(output) => {
                let is_command = operation.kind == OperationKind::Command;
                let is_strange = match one.must {
                    Must::Stand => !is_command && before != after,
                    Must::Fail(_) => true,
                    Must::BeOurs => is_command && before != after && at.is_some(),
                };
                if is_strange {
                    complain("accepted", output.clone());
                }
            }
            Answer::Refused(error) => {
                self.codes.extend(error.all().map(|error| error.code().as_str()));
                if before != after {
                    complain("refused and wrote", format!("{error:?}"));
                }
                let problems = self.problems(operation, one, error);
                problems.iter().for_each(|problem| complain(problem, format!("{error:?}")));
            }
        }
        if at.is_some() && before[0].get(&THEIRS) != after[0].get(&THEIRS) {
            complain("wrote to the neighbour", String::new());
        }
        if took > SLOW {
            complain("slow", format!("{took:?}"));
        }
        for (rule, how) in complaints {
            let (how, input): (String, String) =
                (how.chars().take(500).collect(), one.input.chars().take(300).collect());
            let key = format!("{} {} {rule}", operation.name, one.path);
            self.wrong.entry(key).or_insert_with(|| format!("{how} <- {input}"));
        }
        let is_broken = matches!(answer, Answer::Panicked(_) | Answer::Torn(_));
        // As long as the operation finds what it needs, the next input is tried on what this one has left.
        let works_again = || matches!(self.twins.call(at, operation.name, base.as_bytes()), Answer::Done(_));
        if is_broken || (before != after && !works_again()) {
            self.twins.restore();
        }
    }

    /// What is wrong with an error.
    fn problems(&self, operation: &OperationDoc, one: &Try, error: &Error) -> Vec<String> {
        let mut problems = Vec::new();
        let faults = [ErrorKind::Internal, ErrorKind::CorruptData, ErrorKind::Unavailable, ErrorKind::Timeout];
        if faults.contains(&error.kind()) {
            problems.push("our fault".to_owned());
        }
        if serde_json::to_string(error).unwrap().len() > ERROR_BYTES {
            problems.push("long error".to_owned());
        }
        if let Must::Fail(path) = &one.must {
            // Of several forms without a tag nobody knows which one was meant.
            let is_form = error.text().contains("none of the allowed forms");
            let is_it = |field: &str| field == path || (is_form && path.starts_with(field));
            if !error.all().filter_map(Error::field).any(is_it) {
                problems.push("other field".to_owned());
            }
        }
        for error in error.all() {
            // Text that is no JSON has a line and a column instead of a field.
            let has_place = error.field().is_some() || error.details().contains_key("column") || one.path.is_empty();
            if error.kind() == ErrorKind::Validation && !has_place {
                problems.push("no field".to_owned());
            }
            let code = error.code().as_str();
            if !operation.errors.contains(&code) && !self.catalogue.errors_of_every_call.contains(&code) {
                problems.push(format!("undocumented {code}"));
            }
        }
        problems
    }
}
