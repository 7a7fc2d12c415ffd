//! The conformance suite, on a schema for each test.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;

use std::sync::Arc;
use ventros::storage::Storage;
use ventros::storage::testing::Place;
use ventros_postgres::PostgresStorage;

/// A schema of its own; it goes with the cluster.
struct Schema(String);

impl Schema {
    fn fresh() -> Self {
        Schema(cluster::fresh())
    }
}

#[async_trait::async_trait]
impl Place for Schema {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(PostgresStorage::open(&self.0).await.unwrap())
    }
}

ventros::conformance_suite!(Schema::fresh());
