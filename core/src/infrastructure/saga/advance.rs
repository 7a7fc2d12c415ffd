//! Carries sagas on: one step, or one look at a step that waits, per commit.

use super::definition::{IfChanged, SagaDefinition, StepAction, StepDefinition};
use super::events::{StepDirection, StepErrorClass, StepFailure, StepResult, StepUndone};
use super::registry::Known;
use super::start::{ADVANCE, wake, wake_at};
use super::state::{SagaProgress, StepStatus};
use super::step::{Came, Failure, Turn, abandon};
use super::{Saga, SagaEvent, SagaStatus};
use crate::engine::{JobOutcome, JobType, Root, UnitOfWork, backoff_micros};
use crate::kernel::{Component, Error, ErrorCode, Result, SagaId, Timestamp};
use crate::storage::JobRecord;
use crate::tenancy::access::current;
use crate::tenancy::project::ProjectStatus;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The longest pause before another try, in seconds.
const LONGEST_PAUSE: i64 = 300;
/// While its project does not work, a saga is looked at again after so many seconds.
const LOOK_AGAIN: i64 = 60;
/// While its kind is not known here, sooner at first: a program that starts defines its kinds a moment after it begins to work. Each
/// further look in vain doubles the pause, up to [`LONGEST_PAUSE`]: every look is a commit, and a kind may be gone for good.
const LOOK_AGAIN_FOR_KIND: i64 = 5;
/// The most that the steps of a saga keep together, in bytes.
const MAX_DATA: usize = 64 * 1024;

/// The job that carries a saga on.
pub const JOBS: &[JobType] = &[JobType {
    kind: ADVANCE,
    queue: "timer",
    component: Component::Default,
    max_attempts: 20,
    run: |work, job| Box::pin(run(work, job)),
}];

#[derive(Deserialize)]
struct Payload {
    saga_id: SagaId,
    /// How often in a row whoever looked did not know its kind.
    #[serde(default)]
    unheard: u32,
}

const DONE: JobOutcome = JobOutcome::Done { result: None };

/// When a saga is carried on next.
enum Next {
    Now,
    At(Timestamp),
    /// When something happens.
    Woken,
}

async fn run(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let payload: Payload = serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a saga's timer cannot be read: {e}")))?;
    let Some(mut saga) = work.find::<Saga>(payload.saga_id).await? else { return Ok(DONE) };
    if saga.status.has_ended() {
        return Ok(DONE);
    }
    work.correlate(saga.correlation_id);
    let now = work.now();
    let in_project = !work.project().is_system();
    if in_project && current(work.reader()).await?.is_none_or(|project| project.status != ProjectStatus::Active) {
        return Ok(JobOutcome::Again(now.plus_seconds(LOOK_AGAIN)));
    }
    let definition = match work.reader().core().sagas.find(&saga.kind, saga.definition_version) {
        Known::Here(definition) => definition,
        Known::Unheard => {
            let pause = (LOOK_AGAIN_FOR_KIND << payload.unheard.min(16)).min(LONGEST_PAUSE);
            let at = now.plus_seconds(pause);
            wake_at(work, saga.id, at, payload.unheard.saturating_add(1));
            return Ok(JobOutcome::Again(at));
        }
        Known::Removed => {
            abandon(work, &saga).await?;
            let code = ErrorCode::SagaMigrationMissing;
            fail(&mut saga, code.as_str(), code.message(), true);
            end(work, saga)?;
            return Ok(DONE);
        }
    };
    let id = saga.id;
    let deadline = saga.deadline_at.filter(|_| saga.status != SagaStatus::Compensating);
    let next = match (deadline, saga.status) {
        (Some(deadline), _) if deadline <= now => out_of_time(work, saga, &definition, deadline).await?,
        (_, SagaStatus::Compensating) => undo_next(work, saga, &definition).await?,
        _ => do_next(work, saga, &definition).await?,
    };
    let at = match next {
        Next::Now => Some(now),
        Next::At(at) => Some(deadline.map_or(at, |deadline| deadline.min(at))),
        Next::Woken => deadline,
    };
    // From here on it is looked at as if it had never been strange to anybody.
    if let Some(at) = at.filter(|_| payload.unheard > 0) {
        wake_at(work, id, at, 0);
    }
    Ok(at.map_or(DONE, JobOutcome::Again))
}

/// All of it took too long.
async fn out_of_time(
    work: &mut UnitOfWork<'_>,
    mut saga: Root<Saga>,
    definition: &SagaDefinition,
    deadline_at: Timestamp,
) -> Result<Next> {
    abandon(work, &saga).await?;
    let step = saga.current_step.clone().filter(|_| saga.status == SagaStatus::Waiting);
    saga.record(SagaEvent::TimedOut { step: step.clone(), deadline_at });
    let failure = Failure::last("saga_timeout", "all of it took too long", StepErrorClass::Timeout);
    if let Some(step) = step {
        let attempt = tries(&saga, &step, StepDirection::Forward);
        saga.record(failed_step(&saga, &step, StepDirection::Forward, attempt, &failure, false));
    }
    stop(work, saga, definition, &failure)
}

/// The step that is due, begun or looked at.
async fn do_next(work: &mut UnitOfWork<'_>, saga: Root<Saga>, definition: &SagaDefinition) -> Result<Next> {
    let is_over = |step: &&StepDefinition| {
        saga.step(&step.id, StepDirection::Forward)
            .is_some_and(|record| !matches!(record.status, StepStatus::Pending | StepStatus::Running))
    };
    let Some(step) = definition.steps.iter().find(|step| !is_over(step)) else {
        return complete(work, saga, definition);
    };
    let seen = saga.shared();
    let turn = Turn {
        saga: &seen,
        id: &step.id,
        action: &step.run,
        direction: StepDirection::Forward,
        timer_at: ends_at(&seen, step, StepDirection::Forward, work.now()),
        attempts: step.retry.attempts,
        as_system: definition.as_system,
        expected_version: None,
    };
    drop(saga);
    let came = match &seen.waiting_for {
        Some(waits) => turn.look(work, waits).await?,
        None => match passes_over(&turn, step)? {
            true => {
                let mut saga = work.load::<Saga>(seen.id).await?;
                succeed(&mut saga, definition, step, Value::Null, None, true);
                work.keep(saga)?;
                return Ok(Next::Now);
            }
            false => turn.begin(work).await?,
        },
    };
    let mut saga = work.load::<Saga>(seen.id).await?;
    match came {
        Came::Done { output, signal } => {
            let is_too_much = is_too_much(&seen.data, &output);
            succeed(&mut saga, definition, step, output, signal, false);
            if is_too_much {
                let why = "the steps of a saga keep 64 KiB at most";
                let failure = Failure::last(ErrorCode::JsonTooLarge.as_str(), why, StepErrorClass::Permanent);
                return stop(work, saga, definition, &failure);
            }
            work.keep(saga)?;
            Ok(Next::Now)
        }
        Came::Waits(waits) => {
            let timer_at = waits.timer_at;
            let seq = saga.seq_of(&step.id, StepDirection::Forward);
            let (step, direction) = (step.id.clone(), StepDirection::Forward);
            saga.record(SagaEvent::Waiting { step, seq, direction, waiting_for: Box::new(waits) });
            work.keep(saga)?;
            Ok(timer_at.map_or(Next::Woken, Next::At))
        }
        Came::Still => {
            let timer_at = seen.waiting_for.as_ref().and_then(|waits| waits.timer_at);
            Ok(timer_at.map_or(Next::Woken, Next::At))
        }
        Came::More => Ok(Next::Now),
        Came::Failed(failure) => do_failed(work, saga, definition, step, &failure),
    }
}

fn do_failed(
    work: &mut UnitOfWork<'_>,
    mut saga: Root<Saga>,
    definition: &SagaDefinition,
    step: &StepDefinition,
    failure: &Failure,
) -> Result<Next> {
    let attempt = tries(&saga, &step.id, StepDirection::Forward);
    if !failure.is_final && attempt < step.retry.attempts {
        saga.record(failed_step(&saga, &step.id, StepDirection::Forward, attempt, failure, true));
        work.keep(saga)?;
        return Ok(again(work, step, attempt));
    }
    if let (StepErrorClass::Timeout, Some(deadline_at)) = (failure.class, ends_at_known(&saga)) {
        saga.record(SagaEvent::TimedOut { step: Some(step.id.clone()), deadline_at });
    }
    let mut last = failed_step(&saga, &step.id, StepDirection::Forward, attempt, failure, false);
    if let SagaEvent::StepFailed(last) = &mut last {
        last.skipped = step.optional;
    }
    saga.record(last);
    if step.optional {
        work.keep(saga)?;
        return Ok(Next::Now);
    }
    stop(work, saga, definition, failure)
}

/// There is no way on: back, where there is a way back, or nowhere.
fn stop(
    work: &mut UnitOfWork<'_>,
    mut saga: Root<Saga>,
    definition: &SagaDefinition,
    failure: &Failure,
) -> Result<Next> {
    let is_past_pivot = is_past_pivot(&saga, definition);
    let steps = to_undo(&saga, definition);
    if is_past_pivot || steps.is_empty() {
        fail(&mut saga, &failure.code, &failure.message, is_past_pivot);
        end(work, saga)?;
        return Ok(Next::Woken);
    }
    saga.record(SagaEvent::CompensationStarted { steps });
    work.keep(saga)?;
    Ok(Next::Now)
}

/// The next step that is to be undone, begun or looked at.
async fn undo_next(work: &mut UnitOfWork<'_>, saga: Root<Saga>, definition: &SagaDefinition) -> Result<Next> {
    let Some(id) = to_undo(&saga, definition).into_iter().next() else {
        undone(work, saga)?;
        return Ok(Next::Woken);
    };
    let step = definition.step(&id).and_then(|step| Some((step, step.compensate.as_ref()?)));
    let Some((step, compensation)) = step else { return Err(Error::internal("a step without a way back is undone")) };
    let seen = saga.shared();
    drop(saga);
    let output = seen.step(&id, StepDirection::Forward).map_or(&Value::Null, |record| &record.output);
    let is_checked =
        matches!(compensation.run, StepAction::Command { .. }) && compensation.if_changed != IfChanged::Force;
    let turn = Turn {
        saga: &seen,
        id: &id,
        action: &compensation.run,
        direction: StepDirection::Compensate,
        timer_at: ends_at(&seen, step, StepDirection::Compensate, work.now()),
        attempts: step.retry.attempts,
        // Whoever has lost the right to go on has not lost the duty to tidy up.
        as_system: true,
        expected_version: is_checked.then(|| written_version(&seen, output)).flatten(),
    };
    let came = if output.get("created") == Some(&Value::Bool(false)) {
        let mut saga = work.load::<Saga>(seen.id).await?;
        leave(&mut saga, &id, "it was there before");
        work.keep(saga)?;
        return Ok(Next::Now);
    } else {
        match &seen.waiting_for {
            Some(waits) => turn.look(work, waits).await?,
            None => turn.begin(work).await?,
        }
    };
    let mut saga = work.load::<Saga>(seen.id).await?;
    match came {
        Came::Done { output, .. } => {
            let seq = saga.seq_of(&id, StepDirection::Compensate);
            let undone = StepUndone { step: id, seq, output, data_patch: Map::new(), left: None };
            saga.record(SagaEvent::StepCompensated(Box::new(undone)));
            work.keep(saga)?;
            Ok(Next::Now)
        }
        Came::Waits(waits) => {
            let timer_at = waits.timer_at;
            let seq = saga.seq_of(&id, StepDirection::Compensate);
            let direction = StepDirection::Compensate;
            saga.record(SagaEvent::Waiting { step: id, seq, direction, waiting_for: Box::new(waits) });
            work.keep(saga)?;
            Ok(timer_at.map_or(Next::Woken, Next::At))
        }
        Came::Still => {
            let timer_at = seen.waiting_for.as_ref().and_then(|waits| waits.timer_at);
            Ok(timer_at.map_or(Next::Woken, Next::At))
        }
        Came::More => Ok(Next::Now),
        Came::Failed(failure) => undo_failed(work, saga, step, compensation.if_changed, &failure),
    }
}

fn undo_failed(
    work: &mut UnitOfWork<'_>,
    mut saga: Root<Saga>,
    step: &StepDefinition,
    if_changed: IfChanged,
    failure: &Failure,
) -> Result<Next> {
    let is_changed = failure.code == ErrorCode::VersionConflict.as_str();
    let is_gone = ["_not_found", "_deleted"].iter().any(|end| failure.code.ends_with(end));
    if is_gone || (is_changed && if_changed == IfChanged::Skip) {
        leave(&mut saga, &step.id, if is_gone { "it is gone" } else { "others have changed it since" });
        work.keep(saga)?;
        return Ok(Next::Now);
    }
    let attempt = tries(&saga, &step.id, StepDirection::Compensate);
    if !failure.is_final && !is_changed && attempt < step.retry.attempts {
        saga.record(failed_step(&saga, &step.id, StepDirection::Compensate, attempt, failure, true));
        work.keep(saga)?;
        return Ok(again(work, step, attempt));
    }
    saga.record(failed_step(&saga, &step.id, StepDirection::Compensate, attempt, failure, false));
    let (code, message) = (failure.code.clone(), failure.message.clone());
    saga.record(SagaEvent::CompensationFailed { step: step.id.clone(), code, message });
    end(work, saga)?;
    Ok(Next::Woken)
}

/// Everything is undone that could be.
pub(super) fn undone(work: &mut UnitOfWork<'_>, mut saga: Root<Saga>) -> Result<Arc<Saga>> {
    let of = |status: StepStatus| {
        let forward = saga.steps.iter().rev().filter(|step| step.direction == StepDirection::Forward);
        forward.filter(|step| step.status == status).map(|step| step.step.clone()).collect::<Vec<String>>()
    };
    let (undone, not_undoable) = (of(StepStatus::Compensated), of(StepStatus::Succeeded));
    saga.record(SagaEvent::Compensated { undone, not_undoable });
    end(work, saga)
}

fn complete(work: &mut UnitOfWork<'_>, mut saga: Root<Saga>, definition: &SagaDefinition) -> Result<Next> {
    let output = match &definition.output {
        Some(template) => match super::step::filled(&saga, template) {
            Ok(output) => output,
            Err(error) => return stop(work, saga, definition, &Failure::of(&error)),
        },
        None => {
            let done = saga.steps.iter().rev();
            let last = done.clone().find(|step| step.status == StepStatus::Succeeded);
            last.map_or(Value::Null, |step| step.output.clone())
        }
    };
    let taken = work.now().micros() - saga.created_at.micros();
    let duration_ms = u64::try_from(taken / 1_000).unwrap_or(0);
    saga.record(SagaEvent::Completed { output, duration_ms });
    end(work, saga)?;
    Ok(Next::Woken)
}

fn succeed(
    saga: &mut Root<Saga>,
    definition: &SagaDefinition,
    step: &StepDefinition,
    output: Value,
    signal: Option<String>,
    skipped: bool,
) {
    let forward = saga.steps.iter().filter(|record| record.direction == StepDirection::Forward);
    let before = forward
        .filter(|record| record.step != step.id)
        .filter(|record| matches!(record.status, StepStatus::Succeeded | StepStatus::Skipped))
        .count();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (done, total) = (number(before).saturating_add(1), Some(number(definition.steps.len())));
    let mut data_patch = Map::new();
    if !skipped {
        data_patch.insert(step.id.clone(), output.clone());
    }
    let result = StepResult {
        step: step.id.clone(),
        seq: saga.seq_of(&step.id, StepDirection::Forward),
        attempt: tries(saga, &step.id, StepDirection::Forward),
        output,
        data_patch,
        progress: Some(SagaProgress { done, total, unit: "steps".to_owned() }),
        skipped,
        signal,
    };
    saga.record(SagaEvent::StepSucceeded(Box::new(result)));
}

/// Leaves a step as it is.
fn leave(saga: &mut Root<Saga>, id: &str, why: &str) {
    let seq = saga.seq_of(id, StepDirection::Compensate);
    let left = Some(why.to_owned());
    let undone = StepUndone { step: id.to_owned(), seq, output: Value::Null, data_patch: Map::new(), left };
    saga.record(SagaEvent::StepCompensated(Box::new(undone)));
}

fn fail(saga: &mut Root<Saga>, code: &str, message: &str, needs_attention: bool) {
    let step = saga.current_step.clone();
    let (code, message) = (code.to_owned(), message.to_owned());
    saga.record(SagaEvent::Failed { step, code, message, needs_attention });
}

/// Keeps a saga that has ended, and wakes the one that waits for it.
pub(super) fn end(work: &mut UnitOfWork<'_>, saga: Root<Saga>) -> Result<Arc<Saga>> {
    if let Some(parent) = saga.parent_id {
        wake(work, parent);
    }
    work.keep(saga)
}

fn failed_step(
    saga: &Saga,
    id: &str,
    direction: StepDirection,
    attempt: u32,
    failure: &Failure,
    is_tried_again: bool,
) -> SagaEvent {
    SagaEvent::StepFailed(Box::new(StepFailure {
        step: id.to_owned(),
        seq: saga.seq_of(id, direction),
        attempt,
        direction,
        code: failure.code.clone(),
        message: failure.message.clone(),
        class: failure.class,
        is_final: !is_tried_again,
        skipped: false,
    }))
}

/// The number of the try that is under way.
fn tries(saga: &Saga, id: &str, direction: StepDirection) -> u32 {
    saga.step(id, direction).map_or(1, |record| record.attempt.saturating_add(1))
}

fn again(work: &UnitOfWork<'_>, step: &StepDefinition, attempt: u32) -> Next {
    let pause = backoff_micros(work.reader().core(), attempt, step.retry.pause_seconds, LONGEST_PAUSE);
    Next::At(work.now().plus_micros(pause))
}

/// When a step has taken too long; its time runs from its first try.
fn ends_at(saga: &Saga, step: &StepDefinition, direction: StepDirection, now: Timestamp) -> Option<Timestamp> {
    let begun = saga.step(&step.id, direction).filter(|record| record.attempt > 0);
    let begun = begun.map_or(now, |record| record.started_at);
    step.time().map(|seconds| begun.plus_seconds(seconds))
}

fn ends_at_known(saga: &Saga) -> Option<Timestamp> {
    saga.waiting_for.as_ref().and_then(|waits| waits.timer_at)
}

fn passes_over(turn: &Turn<'_>, step: &StepDefinition) -> Result<bool> {
    let Some(condition) = &step.when else { return Ok(false) };
    // What is not there does not hold.
    let value = super::step::filled(turn.saga, &condition.value).unwrap_or(Value::Null);
    let holds = match &condition.is {
        Some(wanted) => value == *wanted,
        None => !matches!(value, Value::Null | Value::Bool(false)),
    };
    Ok(!holds)
}

fn is_too_much(data: &Map<String, Value>, output: &Value) -> bool {
    let size = |value: &Value| value.to_string().len();
    data.values().map(size).sum::<usize>() + size(output) > MAX_DATA
}

/// The steps that have a way back and have not gone it, in that order.
pub(super) fn to_undo(saga: &Saga, definition: &SagaDefinition) -> Vec<String> {
    let has_way_back = |id: &str| definition.step(id).is_some_and(|step| step.compensate.is_some());
    let is_left =
        |id: &str| saga.step(id, StepDirection::Compensate).is_some_and(|record| record.status == StepStatus::Skipped);
    let forward = saga.steps.iter().rev().filter(|record| record.direction == StepDirection::Forward);
    let done = forward.filter(|record| record.status == StepStatus::Succeeded);
    done.map(|record| record.step.clone()).filter(|id| has_way_back(id) && !is_left(id)).collect()
}

/// Whether there is no way back.
pub(super) fn is_past_pivot(saga: &Saga, definition: &SagaDefinition) -> bool {
    let has_succeeded =
        |id: &str| saga.step(id, StepDirection::Forward).is_some_and(|record| record.status == StepStatus::Succeeded);
    definition.steps.iter().any(|step| step.pivot && has_succeeded(&step.id))
}

/// The version of what a step wrote, as the saga itself left it last.
fn written_version(saga: &Saga, output: &Value) -> Option<u64> {
    let id = output.get("id").filter(|id| id.is_string())?;
    output.get("version")?.as_u64()?;
    let same = saga.steps.iter().filter(|step| step.output.get("id") == Some(id));
    same.filter_map(|step| step.output.get("version")?.as_u64()).max()
}
