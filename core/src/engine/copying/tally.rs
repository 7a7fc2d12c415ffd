//! The sum of the rows of a section: of the hash of each, so that it does not depend on their order and can go on from a note. Rows
//! carry their own places (project, `seq`, id): equal sums are equal sections in equal order.

use crate::kernel::{Error, ProjectId, Result, Timestamp};
use crate::storage::{
    AttemptRecord, Baseline, ConsumerRecord, DeadLetter, EventRecord, IdempotencyRecord, JobRecord, KeyRow,
    SecretRecord, Snapshot, SnapshotRow, StoredRow,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How many rows there are, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub rows: u64,
    sum: [u8; 32],
}

impl Tally {
    pub(super) fn add(&mut self, row: &StoredRow) -> Result<()> {
        let mut carry = 0;
        for (byte, more) in self.sum.iter_mut().zip(hash(row)?) {
            let sum = u16::from(*byte) + u16::from(more) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        self.rows += 1;
        Ok(())
    }

    /// One hash of several sections, in hexadecimal.
    pub(super) fn seal<'t>(sections: impl IntoIterator<Item = (&'t str, &'t Tally)>) -> String {
        let mut fields = Fields::default();
        for (name, tally) in sections {
            fields.text(name).number(tally.rows).bytes(&tally.sum);
        }
        fields.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is hashed of a row, field by field, so that no two rows look alike.
#[derive(Default)]
struct Fields(Sha256);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// One character cannot be kept by every store.
    fn text(&mut self, text: &str) -> &mut Self {
        match text.contains('\0') {
            true => self.bytes(text.replace('\0', "\u{fffd}").as_bytes()),
            false => self.bytes(text.as_bytes()),
        }
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn id(&mut self, id: Uuid) -> &mut Self {
        self.bytes(id.as_bytes())
    }

    fn project(&mut self, project: ProjectId) -> &mut Self {
        self.id(project.uuid())
    }

    fn instant(&mut self, at: Timestamp) -> &mut Self {
        self.bytes(&at.micros().to_le_bytes())
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        match value {
            Some(value) => write(self.bytes(&[1]), value),
            None => self.bytes(&[0]),
        }
    }

    fn optional_text(&mut self, text: Option<&String>) -> &mut Self {
        self.optional(text, |fields, text| fields.text(text))
    }

    fn optional_instant(&mut self, at: Option<Timestamp>) -> &mut Self {
        self.optional(at, Self::instant)
    }
}

fn hash(row: &StoredRow) -> Result<[u8; 32]> {
    let mut fields = Fields::default();
    match row {
        StoredRow::Head { project_id, head, first_seq } => {
            fields.project(*project_id).number(*head).number(*first_seq);
        }
        StoredRow::Event(event) => add_event(&mut fields, event)?,
        StoredRow::Baseline(baseline) => {
            let Baseline { kind, snapshot, seq, recorded_at, is_redacted } = baseline;
            let Snapshot { project_id, id, revision, schema, state } = snapshot;
            fields.project(*project_id).text(kind.as_str()).id(*id).number(*seq).instant(*recorded_at);
            fields.number((*is_redacted).into()).number(*revision).number((*schema).into()).text(state);
        }
        StoredRow::Snapshot(snapshot) => add_snapshot(&mut fields, snapshot),
        StoredRow::Key(key) => add_key(&mut fields, key),
        StoredRow::Consumer(consumer) => add_consumer(&mut fields, consumer),
        StoredRow::DeadLetter { project_id, consumer, letter } => {
            let DeadLetter { event_id, seq, attempts, error, failed_at, retrying, stream, waits_until, is_held } =
                letter;
            fields.project(*project_id).text(consumer).id(*event_id).number(*seq).number((*attempts).into());
            fields.text(error).instant(*failed_at).number((*retrying).into());
            fields.optional_text(stream.map(|stream| stream.kind.as_str().to_owned()).as_ref());
            fields.id(stream.map_or(Uuid::nil(), |stream| stream.id));
            fields.optional_instant(*waits_until).number((*is_held).into());
        }
        StoredRow::Job(job) => add_job(&mut fields, job)?,
        StoredRow::IdempotencyKey(record) => {
            let IdempotencyRecord { scope, key, command, request_hash, result, expires_at } = record;
            fields.id(*scope).text(key).text(command).bytes(request_hash).text(result).instant(*expires_at);
        }
        StoredRow::Secret(record) => {
            let SecretRecord { project_id, id, revision, owner, field, key_id, sealed, created_at } = record;
            fields.project(*project_id).id(*id).number((*revision).into()).text(owner.kind.as_str()).id(owner.id);
            fields.text(field).text(key_id).text(sealed);
            fields.instant(*created_at);
        }
    }
    Ok(fields.0.finalize().into())
}

fn add_event(fields: &mut Fields, event: &EventRecord) -> Result<()> {
    let EventRecord {
        id,
        event_type,
        schema_version,
        aggregate_kind,
        aggregate_id,
        aggregate_version,
        project_id,
        seq,
        position,
        commit_id,
        occurred_at,
        recorded_at,
        actor,
        source,
        command,
        correlation_id,
        causation_id,
        subjects,
        data,
        metadata,
        redacted_at,
    } = event;
    let subjects = serde_json::to_string(subjects)
        .map_err(|error| Error::internal(format!("subjects do not serialise: {error}")))?;
    fields.id(*id).text(event_type).number((*schema_version).into()).text(aggregate_kind.as_str()).id(*aggregate_id);
    fields.number(*aggregate_version).project(project_id.0).number(*seq).number(*position).id(*commit_id);
    fields.instant(*occurred_at).instant(*recorded_at).text(actor.get()).text(source).optional_text(command.as_ref());
    fields.id(*correlation_id).optional(*causation_id, Fields::id).text(&subjects).text(data.get());
    fields.optional(metadata.as_deref(), |fields, metadata| fields.text(metadata.get()));
    fields.optional_instant(*redacted_at);
    Ok(())
}

fn add_snapshot(fields: &mut Fields, snapshot: &SnapshotRow) {
    let SnapshotRow { project_id, kind, id, revision, version, schema, created_at, updated_at, state } = snapshot;
    fields.project(*project_id).text(kind.as_str()).id(*id).number(*revision).number(*version);
    fields.number((*schema).into()).instant(*created_at).instant(*updated_at).text(state);
}

fn add_key(fields: &mut Fields, row: &KeyRow) {
    let KeyRow { space, scope, key, global, project_id, kind, id } = row;
    fields.text(space).text(scope).text(key).number((*global).into()).project(*project_id).text(kind.as_str()).id(*id);
}

/// Without its lease, which is not copied, and without what is counted.
fn add_consumer(fields: &mut Fields, consumer: &ConsumerRecord) {
    let ConsumerRecord {
        project_id,
        name,
        events,
        max_attempts,
        on_exhausted,
        ordering,
        batch_size,
        handler_timeout,
        status,
        generation,
        retrying: _,
        letters: _,
        waits_until: _,
        checkpoint,
        attempts,
        next_attempt_at,
        last_error,
        lease_token: _,
        lease_owner: _,
        lease_until: _,
        out_seq: _,
        lapsed: _,
        created_at,
    } = consumer;
    fields.project(project_id.0).text(name).number(events.len() as u64);
    events.iter().for_each(|pattern| {
        fields.text(pattern);
    });
    fields.number((*max_attempts).into()).text(on_exhausted.as_str()).text(status.as_str());
    fields.text(ordering.as_str()).number((*batch_size).into()).number((*handler_timeout).into());
    fields.number((*generation).into()).number(*checkpoint);
    fields.number((*attempts).into()).optional_instant(*next_attempt_at).optional_text(last_error.as_ref());
    fields.instant(*created_at);
}

fn add_job(fields: &mut Fields, job: &JobRecord) -> Result<()> {
    let JobRecord {
        id,
        project_id,
        queue,
        kind,
        unique_key,
        order_key,
        on_dead,
        payload,
        run_at,
        priority,
        state,
        attempt,
        max_attempts,
        lease_token,
        lease_until,
        last_error,
        result,
        correlation_id,
        causation_id,
        created_at,
        started_at,
        finished_at,
        history,
        waiting_order: _,
    } = job;
    fields.id(*id).project(project_id.0).text(queue).text(kind).optional_text(unique_key.as_ref());
    fields.optional_text(order_key.as_ref()).text(on_dead.as_str()).text(payload).instant(*run_at).text(state.as_str());
    fields.number((*attempt).into()).number(*lease_token).optional_instant(*lease_until);
    fields.optional_text(last_error.as_ref()).optional_text(result.as_ref()).instant(*created_at);
    fields.optional_instant(*finished_at).number(max_attempts.map_or(0, |most| u64::from(most) + 1));
    fields.optional(*correlation_id, Fields::id).optional(*causation_id, Fields::id);
    fields.bytes(&priority.to_le_bytes()).optional_instant(*started_at);
    fields.optional_text(AttemptRecord::written(history)?.as_ref());
    Ok(())
}
