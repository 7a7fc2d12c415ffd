//! No secret is in the file: every byte that SQLite wrote is searched.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use ventros::channels::channel::commands::CreateChannel;
use ventros::kernel::input::parse_value;
use ventros::tenancy::project::commands::CreateProject;
use ventros::tenancy::user::commands::{CreateUser, SetPassword};
use ventros::testing::{World, block_on};
use ventros_sqlite::SqliteStorage;

const API_KEY: &str = "abcdef0123456789";
const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "staple horse battery";

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn secrets_are_sealed_in_the_file() {
    let place = Directory(std::env::temp_dir().join(format!("ventros-vault-{}", std::process::id())));
    std::fs::create_dir_all(&place.0).unwrap();
    let open = |key: u8| {
        let storage = Arc::new(SqliteStorage::open(place.0.join("crm.db")).unwrap());
        World::with_keys(storage, [key; 32]).unwrap().crm
    };
    let crm = open(7);
    let user: CreateUser = parse_value(json!({"name": "Ana", "email": "ana@acme.com", "password": PASSWORD})).unwrap();
    let user = block_on(crm.execute(user)).unwrap();
    let set: SetPassword = parse_value(json!({"id": user.id, "password": OTHER})).unwrap();
    block_on(crm.execute(set)).unwrap();
    let project = block_on(crm.execute(CreateProject { name: "Acme".into(), ..CreateProject::default() })).unwrap();
    let channel: CreateChannel = parse_value(json!({"name": "Sales", "type": "waha",
        "config": {"base_url": "https://waha.example.com"}, "secrets": {"api_key": API_KEY}}))
    .unwrap();
    let made = block_on(crm.project(project.id).execute(channel)).unwrap();
    let token = made.plain_webhook_token.unwrap();
    block_on(crm.run_pending()).unwrap();

    let search = |text: &str| {
        let files = std::fs::read_dir(&place.0).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(search("waha.example.com"), "the search finds what is there");
    for text in [API_KEY, PASSWORD, OTHER, token.as_str(), "$argon2id$", "correct horse"] {
        assert!(!search(text), "{text}");
    }
    block_on(crm.close()).unwrap();
    let reopened = open(7).project(project.id);
    let channel = block_on(reopened.query(ventros::channels::channel::queries::GetWebhookUrl { id: made.channel.id }));
    assert_eq!(channel.unwrap().token, token);
}
