//! Handlers of jobs as a binding uses them: room, answers, leases, the end, and two programs on one file.
#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../../storage-postgres/tests/cluster/mod.rs"]
mod cluster;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use ventros_ffi::{Delivery, Engine, ManualClock};

const START: i64 = 1_760_000_000_000_000;
const SECOND: i64 = 1_000_000;
const TOKEN: u64 = 7;
const BY_HAND: &[u8] = br#"{"background": false}"#;

fn call(engine: &Engine, operation: &str, input: &Value, context: &Value) -> Value {
    let (input, context) = (input.to_string(), context.to_string());
    let answer = engine.call(operation, input.as_bytes(), context.as_bytes(), &mut || false);
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer.get("error").is_none(), "{operation}: {answer}");
    answer["ok"].take()
}

/// An engine that works by hand, a project, and the clock.
struct Desk {
    engine: Engine,
    clock: Arc<ManualClock>,
    shop: Value,
}

impl Desk {
    fn new() -> Desk {
        Desk::at(":memory:")
    }

    fn at(location: &str) -> Desk {
        let clock = Arc::new(ManualClock::new(START));
        let engine = Engine::open(location, BY_HAND, Some(clock.clone())).unwrap();
        let project = call(&engine, "projects.create", &json!({"name": "Acme"}), &json!({}));
        Desk { engine, clock, shop: json!({"project_id": project["id"]}) }
    }

    fn enqueue(&self, input: Value) -> String {
        let mut job = json!({"kind": "host.report"});
        job.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        call(&self.engine, "jobs.enqueue", &job, &self.shop)["id"].as_str().unwrap().to_owned()
    }

    fn handle(&self, options: Value) {
        let mut wanted = json!({"kind": "jobs", "project_id": null, "job_kind": "host.report"});
        wanted.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        self.engine.subscribe(TOKEN, wanted.to_string().as_bytes()).unwrap();
    }

    /// What there is to do now.
    fn jobs(&self) -> Vec<Value> {
        work(&self.engine);
        jobs(&self.engine)
    }

    fn report(&self, job: &Value, outcome: Option<Value>) {
        report(&self.engine, job, outcome);
    }

    fn job(&self, id: &Value) -> Value {
        call(&self.engine, "jobs.get", &json!({"id": id}), &self.shop)
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(seconds * SECOND);
    }
}

fn work(engine: &Engine) -> Value {
    call(engine, "engine.run_pending", &json!({}), &json!({}))
}

#[track_caller]
fn jobs(engine: &Engine) -> Vec<Value> {
    let job = |delivery: Delivery| match delivery {
        Delivery::Job { token: TOKEN, id, job } => {
            let job: Value = serde_json::from_str(&job).unwrap();
            assert_eq!(job["id"], json!(id));
            job
        }
        other => panic!("{other:?}"),
    };
    engine.drain([]).unwrap().into_iter().map(job).collect()
}

/// The one job that comes now or soon.
#[track_caller]
fn arriving(engine: &Engine) -> Value {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let [job] = &*jobs(engine) {
            return job.clone();
        }
        assert!(Instant::now() < patience, "no job came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn report(engine: &Engine, job: &Value, outcome: Option<Value>) {
    let outcome = outcome.map(|outcome| outcome.to_string());
    engine.report(TOKEN, job["id"].as_str().unwrap(), outcome.as_deref().map(str::as_bytes)).unwrap();
}

fn done() -> Option<Value> {
    Some(json!({"type": "done", "result": {"pages": 3}}))
}

/// A place that two engines may open.
fn file(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ventros-ffi-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("crm.db")
}

#[test]
fn a_job_is_delivered_while_there_is_room_and_ends_with_its_result() {
    let desk = Desk::new();
    for number in 0..3 {
        desk.enqueue(json!({"payload": {"number": number}}));
    }
    desk.handle(json!({"concurrency": 2}));
    assert_eq!(work(&desk.engine)["delivered"], 2);
    let taken = jobs(&desk.engine);
    assert_eq!(taken.len(), 2);
    assert_eq!((&taken[0]["attempts"], &taken[0]["payload"]["number"]), (&json!(1), &json!(0)));
    assert_eq!((&taken[0]["project_id"], &taken[0]["idempotency_key"]), (&desk.shop["project_id"], &taken[0]["id"]));
    assert!(desk.jobs().is_empty(), "nothing more before an answer");
    desk.report(&taken[0], done());
    assert_eq!(desk.jobs().len(), 1);
    let ended = desk.job(&taken[0]["id"]);
    assert_eq!((&ended["state"], &ended["result"]["pages"]), (&json!("succeeded"), &json!(3)));
}

#[test]
fn the_place_of_a_job_that_ended_is_filled_while_another_is_under_way() {
    let desk = Desk::new();
    for number in 0..4 {
        desk.enqueue(json!({"payload": number}));
    }
    desk.handle(json!({"concurrency": 2}));
    let taken = desk.jobs();
    desk.report(&taken[0], done());
    let next = arriving(&desk.engine);
    assert_eq!(next["payload"], 2, "without a call of run_pending");
    desk.report(&taken[1], done());
    let last = arriving(&desk.engine);
    assert_eq!(last["payload"], 3);
    assert_eq!(work(&desk.engine)["delivered"], 2, "what came meanwhile counts");
    desk.report(&next, done());
    desk.report(&last, done());
    work(&desk.engine);
    for job in [next, last] {
        assert_eq!(desk.job(&job["id"])["state"], "succeeded");
    }
}

#[test]
fn answers_put_a_job_off_or_give_it_up() {
    let desk = Desk::new();
    desk.handle(json!({}));
    desk.enqueue(json!({}));
    let job = desk.jobs().remove(0);
    desk.report(&job, Some(json!({"type": "rate_limited", "after_seconds": 60})));
    assert!(desk.jobs().is_empty());
    assert_eq!(desk.job(&job["id"])["attempts"], 0);
    desk.advance(60);
    let job = desk.jobs().remove(0);
    desk.report(&job, Some(json!({"type": "retry", "error": "no paper", "after_seconds": 30})));
    assert!(desk.jobs().is_empty());
    assert_eq!(desk.job(&job["id"])["last_error"], "no paper");
    desk.advance(30);
    let job = desk.jobs().remove(0);
    assert_eq!(job["attempts"], 2);
    desk.report(&job, Some(json!({"type": "permanent", "error": "no such month"})));
    assert!(desk.jobs().is_empty());
    assert_eq!(desk.job(&job["id"])["state"], "dead");
    desk.report(&job, done());
    assert!(desk.jobs().is_empty(), "an answer too many changes nothing");
}

#[test]
fn an_outcome_that_cannot_be_kept_is_a_failure_of_the_job() {
    let desk = Desk::new();
    desk.handle(json!({}));
    desk.enqueue(json!({}));
    let job = desk.jobs().remove(0);
    desk.report(&job, Some(json!({"type": "done", "result": "x".repeat(20_000)})));
    work(&desk.engine);
    let deliveries = desk.engine.drain([]).unwrap();
    let [Delivery::Failed { token: TOKEN, error }] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert!(error.contains("json_too_large"), "{error}");
    assert!(desk.jobs().is_empty());
    let failed = desk.job(&job["id"]);
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("scheduled"), &json!(1)));
    assert!(failed["last_error"].as_str().unwrap().contains("json_too_large"), "{failed}");
    // What is no outcome at all is refused at once.
    let id = job["id"].as_str().unwrap();
    assert!(desk.engine.report(TOKEN, id, Some(br#"{"type": "fine"}"#)).is_err());
    assert!(desk.engine.report(TOKEN, "no id", None).is_err());
}

#[test]
fn who_runs_long_keeps_the_job_and_who_is_lost_is_told() {
    let path = file("long");
    let location = path.to_str().unwrap();
    let desk = Desk::at(location);
    let other = Engine::open(location, BY_HAND, Some(desk.clock.clone())).unwrap();
    desk.handle(json!({"timeout_seconds": 300}));
    let wanted = json!({"kind": "jobs", "project_id": desk.shop["project_id"], "job_kind": "host.report"});
    other.subscribe(TOKEN, wanted.to_string().as_bytes()).unwrap();
    desk.enqueue(json!({}));
    let job = desk.jobs().remove(0);
    for _ in 0..10 {
        desk.advance(20);
        assert!(desk.jobs().is_empty());
        work(&other);
        assert!(jobs(&other).is_empty(), "it is still held");
    }
    // No sign of life: the program sleeps.
    desk.advance(31);
    work(&other);
    assert_eq!(jobs(&other).len(), 1);
    work(&desk.engine);
    let deliveries = desk.engine.drain([]).unwrap();
    let [Delivery::Lost { token: TOKEN, job: lost }] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert_eq!(json!(lost), job["id"]);
    desk.report(&job, done());
    assert!(desk.jobs().is_empty());
    let running = desk.job(&job["id"]);
    assert_eq!(
        (&running["state"], &running["result"], &running["attempts"]),
        (&json!("running"), &Value::Null, &json!(2))
    );
    other.close();
    desk.engine.close();
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn case_11_the_result_of_a_cancelled_job_is_dropped() {
    let desk = Desk::new();
    desk.handle(json!({}));
    desk.enqueue(json!({}));
    let job = desk.jobs().remove(0);
    call(&desk.engine, "jobs.cancel", &json!({"id": job["id"]}), &desk.shop);
    desk.report(&job, done());
    assert!(desk.jobs().is_empty());
    let ended = desk.job(&job["id"]);
    assert_eq!((&ended["state"], &ended["result"]), (&json!("cancelled"), &Value::Null));
}

#[test]
fn who_ends_hands_back_what_was_not_begun_and_finishes_the_rest() {
    let desk = Desk::new();
    desk.handle(json!({"concurrency": 2}));
    let first = desk.enqueue(json!({}));
    let begun = desk.jobs().remove(0);
    assert_eq!(begun["id"], json!(first));
    let second = desk.enqueue(json!({}));
    work(&desk.engine);
    // Delivered and not drained.
    desk.engine.cancel(TOKEN);
    desk.engine.cancel(TOKEN);
    assert!(jobs(&desk.engine).is_empty());
    let back = desk.job(&json!(second));
    assert_eq!((&back["state"], &back["attempts"]), (&json!("scheduled"), &json!(0)));
    desk.advance(25);
    assert!(desk.jobs().is_empty(), "nothing new is taken");
    desk.report(&begun, done());
    assert!(desk.jobs().is_empty());
    assert_eq!(desk.job(&begun["id"])["state"], "succeeded");
    desk.handle(json!({}));
    assert_eq!(desk.jobs().len(), 1);
}

#[test]
fn who_closes_tells_what_was_answered_and_hands_back_the_rest() {
    let path = file("close");
    let desk = Desk::at(path.to_str().unwrap());
    desk.handle(json!({}));
    let (first, second) = (desk.enqueue(json!({})), desk.enqueue(json!({})));
    let taken = desk.jobs();
    desk.report(&taken[0], done());
    desk.engine.close();
    assert!(desk.engine.report(TOKEN, &second, None).is_err());
    let again = Engine::open(path.to_str().unwrap(), BY_HAND, Some(desk.clock.clone())).unwrap();
    let job = |id: &str| call(&again, "jobs.get", &json!({"id": id}), &desk.shop);
    assert_eq!(job(&first)["state"], "succeeded");
    let back = job(&second);
    assert_eq!((&back["state"], &back["attempts"]), (&json!("scheduled"), &json!(0)));
    again.close();
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn what_is_no_handler_is_refused() {
    let desk = Desk::new();
    for wanted in [
        json!({"kind": "jobs", "project_id": null, "job_kind": "timer.session_timeout"}),
        json!({"kind": "jobs", "project_id": null, "job_kind": "host.report", "concurrency": 0}),
        json!({"kind": "jobs", "project_id": null, "job_kind": "host.report", "timeout_seconds": 3601}),
        json!({"kind": "jobs", "project_id": null}),
    ] {
        assert!(desk.engine.subscribe(TOKEN, wanted.to_string().as_bytes()).is_err(), "{wanted}");
    }
}

#[test]
fn two_engines_on_one_file_do_each_job_once() {
    let path = file("two");
    each_job_is_done_once(path.to_str().unwrap());
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn two_engines_on_one_database_do_each_job_once() {
    each_job_is_done_once(&cluster::fresh());
}

/// Two programs that do whatever there is, until all is done.
#[track_caller]
fn each_job_is_done_once(location: &str) {
    const JOBS: usize = 200;
    let open = || Engine::open(location, b"{}", None).unwrap();
    let engines = [open(), open()];
    let project = call(&engines[0], "projects.create", &json!({"name": "Acme"}), &json!({}));
    let shop = json!({"project_id": project["id"]});
    let wanted = json!({"kind": "jobs", "project_id": null, "job_kind": "host.report", "concurrency": 5});
    for engine in &engines {
        engine.subscribe(TOKEN, wanted.to_string().as_bytes()).unwrap();
    }
    let ended = AtomicUsize::new(0);
    let seen: Vec<BTreeMap<String, usize>> = std::thread::scope(|scope| {
        let workers: Vec<_> = engines
            .iter()
            .map(|engine| {
                let ended = &ended;
                scope.spawn(move || {
                    let (mut seen, began) = (BTreeMap::new(), Instant::now());
                    while ended.load(Ordering::SeqCst) < JOBS && began.elapsed() < Duration::from_secs(60) {
                        let taken = jobs(engine);
                        assert!(taken.len() <= 5, "more than there is room for");
                        if taken.is_empty() {
                            std::thread::yield_now();
                        }
                        for job in taken {
                            *seen.entry(job["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
                            report(engine, &job, done());
                            ended.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..JOBS {
            call(&engines[0], "jobs.enqueue", &json!({"kind": "host.report"}), &shop);
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let once = seen.iter().flat_map(BTreeMap::values).all(|times| *times == 1);
    assert!(once && seen[0].len() + seen[1].len() == JOBS, "{} and {}", seen[0].len(), seen[1].len());
    assert!(seen[1].keys().all(|id| !seen[0].contains_key(id)));
    engines.iter().for_each(Engine::close);
    let again = open();
    let stats =
        call(&again, "jobs.list", &json!({"kind": "host.report", "states": ["succeeded"], "limit": 100}), &shop);
    assert_eq!(stats["items"].as_array().unwrap().len(), 100);
    let left =
        call(&again, "jobs.list", &json!({"kind": "host.report", "states": ["scheduled", "running", "dead"]}), &shop);
    assert_eq!(left["items"], json!([]));
    again.close();
}

/// Woken by the commit, not by looking, which happens every second.
#[test]
fn a_job_that_is_enqueued_is_handed_out_at_once() {
    let engine = Engine::open(":memory:", b"{}", None).unwrap();
    let project = call(&engine, "projects.create", &json!({"name": "Acme"}), &json!({}));
    let shop = json!({"project_id": project["id"]});
    let wanted = json!({"kind": "jobs", "project_id": project["id"], "job_kind": "host.report"});
    engine.subscribe(TOKEN, wanted.to_string().as_bytes()).unwrap();
    let mut delays = Vec::new();
    for _ in 0..20 {
        call(&engine, "jobs.enqueue", &json!({"kind": "host.report"}), &shop);
        let began = Instant::now();
        loop {
            assert!(engine.listen());
            if let Some(job) = jobs(&engine).pop() {
                delays.push(began.elapsed());
                report(&engine, &job, done());
                break;
            }
        }
    }
    delays.sort_unstable();
    eprintln!("from commit to handler: half in {:?}, all in {:?}", delays[10], delays[19]);
    assert!(delays[10] < Duration::from_millis(300), "{delays:?}");
    engine.close();
}
