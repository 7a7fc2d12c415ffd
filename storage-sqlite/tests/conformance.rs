//! The conformance suite on a file, and on a store in memory where there is no second opening.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use ventros::storage::Storage;
use ventros::storage::testing::Place;
use ventros_sqlite::SqliteStorage;

/// A file in a directory of its own.
struct File(PathBuf);

impl File {
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ventros-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        File(directory)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[async_trait::async_trait]
impl Place for File {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(SqliteStorage::open(self.0.join("crm.db")).unwrap())
    }
}

mod on_file {
    use super::*;
    ventros::conformance_suite!(File::fresh());
}

/// One handle for all openings, as a store in memory ends with its handle. It leaves out what is about closing.
struct Memory(Arc<SqliteStorage>);

#[async_trait::async_trait]
impl Place for Memory {
    async fn open(&self) -> Arc<dyn Storage> {
        self.0.clone()
    }
}

/// The parts that differ when there is one connection: reading while others write.
mod in_memory {
    use super::*;
    use ventros::storage::testing::{Case, events, filters, jobs, keys, life, pages, run, search, snapshots};

    #[track_caller]
    fn check(case: Case) {
        run(case, &Memory(Arc::new(SqliteStorage::open_in_memory().unwrap())));
    }

    #[test]
    fn it_behaves_as_a_file() {
        check(|place| Box::pin(snapshots::a_refused_batch_leaves_nothing(place)));
        check(|place| Box::pin(keys::racing_writers_share_a_key_once(place)));
        check(|place| Box::pin(events::case_23_racing_writers_leave_no_gap(place)));
        check(|place| Box::pin(events::events_are_found_by_every_way(place)));
        check(|place| Box::pin(jobs::racing_workers_share_jobs(place)));
        check(|place| Box::pin(filters::every_operator_agrees_with_the_evaluator(place)));
        check(|place| Box::pin(pages::random_orders_agree_with_the_evaluator(place)));
        check(|place| Box::pin(search::the_best_field_is_told(place)));
        check(|place| Box::pin(life::a_closed_store_refuses(place)));
        check(|place| Box::pin(life::futures_may_be_dropped(place)));
    }
}
