//! No secret is in the file: every byte that SQLite wrote is searched, what it has freed and its log among them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod marked;

use marked::{MARK, PLAIN, Shown, keep_secrets};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use ventros::channels::channel::commands::CreateChannel;
use ventros::kernel::input::parse_value;
use ventros::tenancy::project::commands::CreateProject;
use ventros::testing::{World, block_on};
use ventros_sqlite::SqliteStorage;

struct Directory(PathBuf);

impl Directory {
    fn fresh(name: &str) -> Directory {
        let place = std::env::temp_dir().join(format!("ventros-vault-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        Directory(place)
    }

    fn open(&self, key: u8, seed: u64) -> World {
        let storage = Arc::new(SqliteStorage::open(self.0.join("crm.db")).unwrap());
        World::resume(storage, [key; 32], seed).unwrap()
    }

    /// Whether some file has the text in it.
    fn has(&self, text: &str) -> bool {
        let files = std::fs::read_dir(&self.0).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn no_secret_is_in_the_file_nor_shown() {
    let place = Directory::fresh("scan");
    let world = place.open(7, 1);
    let Shown(shown) = keep_secrets(&world);
    assert!(shown.iter().any(|text| text.contains(PLAIN)) && place.has(PLAIN), "the search finds what is there");
    for text in shown {
        assert!(!text.contains(MARK), "{text}");
    }
    assert!(!place.has(MARK), "before the log is merged into the file");
    world.assert_log_matches();
    block_on(world.crm.close()).unwrap();
    assert!(!place.has(MARK), "after it");
    assert!(!place.has("$argon2id$"), "hashes of passwords are sealed, too");
}

#[test]
fn sealed_secrets_open_again() {
    let place = Directory::fresh("reopen");
    let crm = place.open(7, 1).crm;
    let project = block_on(crm.execute(CreateProject { name: "Acme".into(), ..CreateProject::default() })).unwrap();
    let channel: CreateChannel = parse_value(json!({"name": "Sales", "type": "waha"})).unwrap();
    let made = block_on(crm.project(project.id).execute(channel)).unwrap();
    let token = made.plain_webhook_token.unwrap();
    block_on(crm.run_pending()).unwrap();
    assert!(!place.has(token.as_str()));
    block_on(crm.close()).unwrap();
    let reopened = place.open(7, 2).crm.project(project.id);
    let channel = block_on(reopened.query(ventros::channels::channel::queries::GetWebhookUrl { id: made.channel.id }));
    assert_eq!(channel.unwrap().token, token);
}
