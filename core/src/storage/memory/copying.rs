//! A whole store in memory, row by row. A page begins at the number of rows before it.

use super::super::{ConsumerRecord, CopyRepository, CopyStep, KeyRow, RowPage, Section, SnapshotRow, StoredRow};
use super::{Contents, Key, MemoryStorage, Row};
use crate::kernel::{Error, ErrorCode, Result, Subject};
use async_trait::async_trait;

type Rows<'c> = Box<dyn Iterator<Item = StoredRow> + 'c>;

impl Contents {
    fn section(&self, section: Section) -> Rows<'_> {
        match section {
            Section::Heads => {
                let first_seq = |project| self.first_seqs.get(project).copied().unwrap_or(1);
                Box::new(self.heads.iter().map(move |(project, head)| StoredRow::Head {
                    project_id: *project,
                    head: *head,
                    first_seq: first_seq(project),
                }))
            }
            Section::Baselines => Box::new(self.baselines.values().cloned().map(StoredRow::Baseline)),
            Section::Events => Box::new(self.events.iter().cloned().map(StoredRow::Event)),
            Section::Snapshots(kind) => Box::new(
                self.snapshots
                    .iter()
                    .filter(move |((of, ..), _)| *of == kind)
                    .map(|((kind, project_id, id), row)| {
                        let Row { revision, version, schema, created_at, updated_at, state, index: _ } = row.clone();
                        let (kind, project_id, id) = (*kind, *project_id, *id);
                        SnapshotRow { project_id, kind, id, revision, version, schema, created_at, updated_at, state }
                    })
                    .map(StoredRow::Snapshot),
            ),
            Section::Keys => Box::new(self.keys.iter().map(|(key, (project_id, owner))| {
                StoredRow::Key(KeyRow {
                    space: key.space.clone(),
                    scope: key.scope.clone(),
                    key: key.key.clone(),
                    global: key.project.is_none(),
                    project_id: *project_id,
                    kind: owner.kind,
                    id: owner.id,
                })
            })),
            Section::Consumers => Box::new(self.consumers.values().cloned().map(StoredRow::Consumer)),
            Section::DeadLetters => Box::new(self.dead_letters.iter().flat_map(|((project, consumer), letters)| {
                letters.iter().map(|letter| StoredRow::DeadLetter {
                    project_id: *project,
                    consumer: consumer.clone(),
                    letter: letter.clone(),
                })
            })),
            Section::Jobs => Box::new(self.jobs.values().cloned().map(StoredRow::Job)),
            Section::IdempotencyKeys => Box::new(self.idempotency.values().cloned().map(StoredRow::IdempotencyKey)),
            Section::Secrets => Box::new(self.secrets.values().cloned().map(StoredRow::Secret)),
        }
    }

    fn empty(&mut self, section: Section) {
        match section {
            Section::Heads => {
                self.heads.clear();
                self.first_seqs.clear();
            }
            Section::Baselines => self.baselines.clear(),
            Section::Events => {
                self.events.clear();
                self.event_ids.clear();
                self.streams.clear();
            }
            Section::Snapshots(kind) => self.snapshots.retain(|(of, ..), _| *of != kind),
            Section::Keys => self.keys.clear(),
            Section::Consumers => self.consumers.clear(),
            Section::DeadLetters => self.dead_letters.clear(),
            Section::Jobs => self.jobs.clear(),
            Section::IdempotencyKeys => self.idempotency.clear(),
            Section::Secrets => self.secrets.clear(),
        }
    }

    fn put(&mut self, row: StoredRow) -> Result<()> {
        match row {
            StoredRow::Head { project_id, head, first_seq } => {
                self.heads.insert(project_id, head);
                if first_seq > 1 {
                    self.first_seqs.insert(project_id, first_seq);
                }
            }
            StoredRow::Baseline(baseline) => {
                self.baselines.insert((baseline.snapshot.project_id, baseline.subject()), baseline);
            }
            StoredRow::Event(event) => {
                self.event_ids.insert(event.id, event.position);
                let stream = Subject::new(event.aggregate_kind, event.aggregate_id);
                self.streams.insert((event.project_id.0, stream, event.aggregate_version), event.position);
                self.events.push(event);
            }
            StoredRow::Snapshot(row) => {
                let SnapshotRow { project_id, kind, id, revision, version, schema, created_at, updated_at, state } =
                    row;
                let table = self.tables.get(&kind);
                let table = table.ok_or_else(|| Error::internal(format!("the table of {kind} was not prepared")))?;
                let index = (table.index)(&state)?;
                index.check(table)?;
                let row = Row { revision, version, schema, created_at, updated_at, state, index };
                self.snapshots.insert((kind, project_id, id), row);
            }
            StoredRow::Key(row) => {
                let KeyRow { space, scope, key, global, project_id, kind, id } = row;
                let project = (!global).then_some(project_id);
                self.keys.insert(Key { space, scope, key, project }, (project_id, Subject::new(kind, id)));
            }
            StoredRow::Consumer(consumer) => {
                let place = (consumer.project_id.0, consumer.name.clone());
                let free = ConsumerRecord {
                    lease_token: 0,
                    lease_owner: None,
                    lease_until: None,
                    out_seq: None,
                    lapsed: false,
                    ..consumer
                };
                self.consumers.insert(place, free);
            }
            StoredRow::DeadLetter { project_id, consumer, letter } => {
                let letters = self.dead_letters.entry((project_id, consumer)).or_default();
                letters.push(letter);
                letters.sort_by_key(|letter| letter.seq);
            }
            StoredRow::Job(job) => {
                self.jobs.insert(job.id, job);
            }
            StoredRow::IdempotencyKey(record) => {
                self.idempotency.insert((record.scope, record.key.clone()), record);
            }
            StoredRow::Secret(record) => {
                self.secrets.insert((record.project_id, record.id, record.revision), record);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl CopyRepository for MemoryStorage {
    async fn count_rows(&self, section: Section) -> Result<u64> {
        Ok(self.contents()?.section(section).count() as u64)
    }

    async fn rows(&self, section: Section, after: Option<&str>, limit: usize) -> Result<RowPage> {
        let skipped: usize = match after {
            Some(number) => number.parse().map_err(|_| Error::internal("a page begins at no number"))?,
            None => 0,
        };
        let rows: Vec<StoredRow> = self.contents()?.section(section).skip(skipped).take(limit).collect();
        let next = (rows.len() == limit).then(|| (skipped + limit).to_string());
        Ok(RowPage { rows, next })
    }

    async fn copy_note(&self) -> Result<Option<String>> {
        Ok(self.contents()?.copy_note.clone())
    }

    async fn copy_step(&self, step: CopyStep) -> Result<()> {
        let mut contents = self.contents()?;
        if contents.copy_note != step.known {
            return Err(ErrorCode::StoreLocked.into());
        }
        let mut after = contents.clone();
        step.emptied.into_iter().for_each(|section| after.empty(section));
        step.rows.into_iter().try_for_each(|row| after.put(row))?;
        after.copy_note = step.note;
        *contents = after;
        Ok(())
    }
}
