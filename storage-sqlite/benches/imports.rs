//! How fast a host's own history gets in, page by page, and how much memory that takes: each page is one chat of 500 messages with its
//! sessions, in one commit. Fails when memory grows with the number of pages.
//!
//! `VENTROS_PAGES` sets the number of pages (4).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]

mod shop;

use serde_json::json;
use shop::{Shop, directory, resident, size};
use std::sync::Arc;
use std::time::Instant;
use ventros::conversations::import::commands::StoreHistory;
use ventros::kernel::Timestamp;
use ventros::testing::block_on;
use ventros_sqlite::SqliteStorage;

const PAGE: usize = 500;
/// 2020-01-01T00:00:00Z.
const START: i64 = 1_577_836_800;
/// What a process may have in memory at its peak, in MiB.
const BOUND: u64 = 200;

fn main() {
    let pages = size("VENTROS_PAGES", 4);
    let directory = directory("imports");
    let shop = Shop::open(Arc::new(SqliteStorage::open(directory.join("crm.db")).unwrap()));
    let began = Instant::now();
    let mut quarter = (began, 0);
    for number in 0..pages {
        let stored = block_on(shop.project.execute(page(&shop, number))).unwrap();
        assert_eq!(stored.imported, PAGE as u64);
        if (number + 1) % pages.div_ceil(4) == 0 {
            let rate = ((number + 1 - quarter.1) * PAGE) as f64 / quarter.0.elapsed().as_secs_f64();
            println!("{:>9} messages: {rate:>7.0} a second, {} MiB", (number + 1) * PAGE, resident("VmRSS") >> 10);
            quarter = (Instant::now(), number + 1);
        }
    }
    let rate = (pages * PAGE) as f64 / began.elapsed().as_secs_f64();
    let peak = resident("VmHWM") >> 10;
    println!("{} messages, {rate:.0} a second, at most {peak} MiB in memory", pages * PAGE);
    assert!(peak <= BOUND, "more than {BOUND} MiB");
    block_on(shop.crm.close()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A chat of 500 messages, a session of about nine each.
fn page(shop: &Shop, number: usize) -> StoreHistory {
    let wid = format!("55119{number:08}");
    let messages: Vec<serde_json::Value> = (0..PAGE)
        .map(|place| {
            let at = START + (number * 60 + place / 9 * 7_200 + place % 9 * 60) as i64;
            let at = Timestamp::from_seconds(at).unwrap();
            let id = format!("3EB0{number:08}{place:08}");
            let content = json!({"type": "text", "body": "Bom dia! Quanto custa o plano anual?"});
            match place % 3 {
                2 => json!({"channel_message_id": id, "from_me": true, "peer": {"wid": wid}, "timestamp": at,
                    "content": content, "ack": "read"}),
                _ => json!({"channel_message_id": id, "sender": {"wid": wid, "display_name": "Ana"}, "timestamp": at,
                    "content": content}),
            }
        })
        .collect();
    let chat =
        json!({"external_id": format!("{wid}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null});
    serde_json::from_value(json!({"channel_id": shop.channel, "chat": chat, "messages": messages})).unwrap()
}
