//! Moving a whole installation from one store to another: page by page, with a note in the target of how far it is, and checked
//! in the end by what both sides have stored.
//!
//! Each page and the note of it are one write, so that a copy which was interrupted goes on where it was. The source is to be left
//! alone meanwhile: that is not enforced, but what changed is seen, and copied anew by the next run.

mod note;
mod tally;

use crate::kernel::{Error, ErrorCode, Result};
use crate::storage::{CopyStep, Section, Storage, StoredRow, Table};
use futures_util::future::join;
use note::{Note, Progress, origin};
use serde::Serialize;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::task::Poll;
use tally::Tally;

/// Rows of one write.
const PAGE: usize = 1_000;

/// What a copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyPhase {
    Copying,
    /// Reads the source again, to see whether it has changed.
    CheckingSource,
    /// Reads what the target has stored.
    CheckingTarget,
}

/// How far a copy is. Every phase counts all rows from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CopyProgress {
    pub phase: CopyPhase,
    /// The part at hand, such as `events` or `contacts`.
    pub section: &'static str,
    pub section_done: u64,
    pub section_total: u64,
    pub done: u64,
    pub total: u64,
}

/// What a copy did. The hashes are of what is stored, and were the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Rows of the installation.
    pub rows: u64,
    /// Rows that this run has written; the others were there before.
    pub copied: u64,
    /// Of all events.
    pub log_hash: String,
    /// Of all snapshots.
    pub state_hash: String,
    /// Of consumers, dead letters, jobs, idempotency keys, secrets, unique keys and log heads.
    pub rest_hash: String,
    /// Rows of each part.
    pub sections: Vec<CopiedSection>,
}

/// A part of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopiedSection {
    pub section: &'static str,
    pub rows: u64,
}

/// Hears how far a copy is, and may break it off; it goes on with the next run.
pub type CopyListener<'l> = dyn FnMut(&CopyProgress) -> ControlFlow<()> + Send + 'l;

/// Copies a whole installation into an empty store. Neither side may be written to meanwhile.
///
/// What was interrupted goes on with the next run; until then the target cannot be opened. A target that holds the very same
/// installation already is checked and left as it is. Secrets stay sealed under their key. Leases of consumers are not copied.
///
/// # Errors
/// `target_not_empty` when the target has rows of its own; `source_changed` when the source was written to meanwhile and
/// `copy_mismatch` when the target has not kept what it was given, after both of which the next run copies those parts anew;
/// `copy_unfinished` when the source is itself a copy that was interrupted; `store_locked` when another copy into the target is under
/// way; `cancelled` when the listener broke it off.
pub async fn copy(source: &dyn Storage, target: &dyn Storage, listener: &mut CopyListener<'_>) -> Result<CopyReport> {
    copy_tables(source, target, &crate::catalogue::tables(), PAGE, listener).await
}

/// As [`copy`], of the snapshots of these tables and in pages of this size; for tests of adapters.
pub async fn copy_tables(
    source: &dyn Storage,
    target: &dyn Storage,
    tables: &[Table],
    page: usize,
    listener: &mut CopyListener<'_>,
) -> Result<CopyReport> {
    source.prepare(tables).await?;
    target.prepare(tables).await?;
    if source.copy_note().await?.is_some() {
        return Err(Error::from(ErrorCode::CopyUnfinished).at("source"));
    }
    let sections = sections(tables);
    let totals = count(source, &sections).await?;
    let origin = origin(source).await?;
    let known = target.copy_note().await?;
    let note = match &known {
        Some(text) => Note::read(text)?,
        None => Note::begin(origin.clone()),
    };
    let is_begun = known.is_some();
    let mut copy = Copy { source, target, sections, totals, page, listener, note, known, done: 0, copied: 0 };
    if is_begun && copy.note.origin != origin {
        return Err(not_empty("it holds a part of another installation"));
    }
    if !is_begun {
        let found = count(target, &copy.sections).await?;
        if found.iter().any(|rows| *rows > 0) {
            return copy.compare(&found).await;
        }
        copy.step(Vec::new(), copy.note.clone()).await?;
    }
    copy.carry().await?;
    copy.check().await?;
    target.copy_step(CopyStep { known: copy.known.clone(), ..CopyStep::default() }).await?;
    Ok(copy.report())
}

/// In the order in which they are copied: what others refer to comes first.
fn sections(tables: &[Table]) -> Vec<Section> {
    let snapshots = tables.iter().map(|table| Section::Snapshots(table.kind));
    let before = [Section::Heads, Section::Events, Section::Baselines];
    let after = [
        Section::Keys,
        Section::Consumers,
        Section::DeadLetters,
        Section::Jobs,
        Section::IdempotencyKeys,
        Section::Secrets,
    ];
    before.into_iter().chain(snapshots).chain(after).collect()
}

async fn count(store: &dyn Storage, sections: &[Section]) -> Result<Vec<u64>> {
    let mut counts = Vec::with_capacity(sections.len());
    for section in sections {
        counts.push(store.count_rows(*section).await?);
    }
    Ok(counts)
}

fn not_empty(message: &str) -> Error {
    Error::new(ErrorCode::TargetNotEmpty).message(format!("the target is not empty: {message}")).at("target")
}

/// Lets the caller's executor look at others: a store in a file never waits by itself.
async fn give_way() {
    let mut has_given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One run.
struct Copy<'c, 'l> {
    source: &'c dyn Storage,
    target: &'c dyn Storage,
    sections: Vec<Section>,
    /// Rows of each section, as they were counted at the beginning.
    totals: Vec<u64>,
    page: usize,
    listener: &'c mut CopyListener<'l>,
    note: Note,
    /// The note as the target has it.
    known: Option<String>,
    /// Rows of this phase.
    done: u64,
    copied: u64,
}

impl Copy<'_, '_> {
    /// Copies what is not there yet.
    async fn carry(&mut self) -> Result<()> {
        self.done = 0;
        for (place, section) in self.sections.clone().into_iter().enumerate() {
            let mut progress = self.note.of(section);
            self.done += progress.tally.rows;
            if progress.is_done {
                continue;
            }
            let mut page = self.source.rows(section, progress.next.as_deref(), self.page).await?;
            loop {
                for row in &page.rows {
                    progress.tally.add(row)?;
                }
                let written = page.rows.len() as u64;
                progress.next = page.next;
                progress.is_done = progress.next.is_none();
                let mut note = self.note.clone();
                note.set(section, progress.clone());
                let (source, next, limit) = (self.source, progress.next.clone(), self.page);
                let ahead = async move {
                    match &next {
                        Some(next) => source.rows(section, Some(next), limit).await.map(Some),
                        None => Ok(None),
                    }
                };
                // The source reads while the target writes.
                let (stepped, following) = match page.rows.is_empty() {
                    true => {
                        self.note = note;
                        (Ok(()), ahead.await)
                    }
                    false => join(self.step(page.rows, note), ahead).await,
                };
                stepped?;
                self.copied += written;
                self.done += written;
                self.tell(CopyPhase::Copying, place, progress.tally.rows).await?;
                match following? {
                    Some(following) => page = following,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Writes rows and the note of them.
    async fn step(&mut self, rows: Vec<StoredRow>, note: Note) -> Result<()> {
        let text = note.write()?;
        let step = CopyStep { known: self.known.take(), emptied: Vec::new(), rows, note: Some(text.clone()) };
        self.target.copy_step(step).await?;
        self.known = Some(text);
        self.note = note;
        Ok(())
    }

    /// Fails unless both sides have stored what was copied. The source is looked through backward: the heads of the logs, which every
    /// commit with events moves, come last.
    async fn check(&mut self) -> Result<()> {
        for phase in [CopyPhase::CheckingSource, CopyPhase::CheckingTarget] {
            self.done = 0;
            let mut other = Vec::new();
            for (place, section) in self.sections.clone().into_iter().enumerate().rev() {
                if self.tally(phase, place).await? != self.note.of(section).tally {
                    other.push(section);
                }
            }
            if !other.is_empty() {
                let names: Vec<&str> = other.iter().map(|section| section.name()).collect();
                self.begin_anew(other).await?;
                let code = match phase {
                    CopyPhase::CheckingTarget => ErrorCode::CopyMismatch,
                    _ => ErrorCode::SourceChanged,
                };
                return Err(Error::from(code).with("sections", names));
            }
        }
        Ok(())
    }

    /// Empties sections of the target, so that the next run copies them again.
    async fn begin_anew(&mut self, mut sections: Vec<Section>) -> Result<()> {
        // Without their consumers there can be none.
        if sections.contains(&Section::Consumers) {
            sections.push(Section::DeadLetters);
        }
        sections.iter().for_each(|section| self.note.forget(*section));
        let step =
            CopyStep { known: self.known.take(), emptied: sections, rows: Vec::new(), note: Some(self.note.write()?) };
        self.target.copy_step(step).await
    }

    /// A target with rows of its own must be the same installation, and nothing is to be done then.
    async fn compare(mut self, found: &[u64]) -> Result<CopyReport> {
        const OTHER: &str = "it holds something else, or the source has gone on since it was copied";
        if *found != self.totals {
            return Err(not_empty(OTHER));
        }
        for phase in [CopyPhase::CheckingSource, CopyPhase::CheckingTarget] {
            self.done = 0;
            for (place, section) in self.sections.clone().into_iter().enumerate().rev() {
                let tally = self.tally(phase, place).await?;
                if phase == CopyPhase::CheckingSource {
                    self.note.set(section, Progress { tally, next: None, is_done: true });
                } else if tally != self.note.of(section).tally {
                    return Err(not_empty(OTHER));
                }
            }
        }
        Ok(self.report())
    }

    /// Of all rows of a section, as one of the two sides has them now.
    async fn tally(&mut self, phase: CopyPhase, place: usize) -> Result<Tally> {
        let store = if phase == CopyPhase::CheckingTarget { self.target } else { self.source };
        let mut tally = Tally::default();
        let mut next: Option<String> = None;
        loop {
            let page = store.rows(self.sections[place], next.as_deref(), self.page).await?;
            for row in &page.rows {
                tally.add(row)?;
            }
            self.done += page.rows.len() as u64;
            self.tell(phase, place, tally.rows).await?;
            next = page.next;
            if next.is_none() {
                return Ok(tally);
            }
        }
    }

    async fn tell(&mut self, phase: CopyPhase, place: usize, section_done: u64) -> Result<()> {
        let progress = CopyProgress {
            phase,
            section: self.sections[place].name(),
            section_done,
            section_total: self.totals[place].max(section_done),
            done: self.done,
            total: self.totals.iter().sum::<u64>().max(self.done),
        };
        if (self.listener)(&progress).is_break() {
            return Err(ErrorCode::Cancelled.into());
        }
        give_way().await;
        Ok(())
    }

    fn report(&self) -> CopyReport {
        let tallies: Vec<(Section, Tally)> =
            self.sections.iter().map(|section| (*section, self.note.of(*section).tally)).collect();
        let seal = |wanted: fn(Section) -> bool| {
            let found = tallies.iter().filter(|(section, _)| wanted(*section));
            Tally::seal(found.map(|(section, tally)| (section.name(), tally)))
        };
        CopyReport {
            rows: tallies.iter().map(|(_, tally)| tally.rows).sum(),
            copied: self.copied,
            log_hash: seal(|section| section == Section::Events),
            state_hash: seal(|section| matches!(section, Section::Snapshots(_))),
            rest_hash: seal(|section| !matches!(section, Section::Events | Section::Snapshots(_))),
            sections: tallies
                .iter()
                .map(|(section, tally)| CopiedSection { section: section.name(), rows: tally.rows })
                .collect(),
        }
    }
}
