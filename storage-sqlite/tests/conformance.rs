//! The conformance suite on a file, and on a store in memory where there is no second opening.

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

ventros::conformance_suite!(File::fresh());
