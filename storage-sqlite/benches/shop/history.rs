//! A host's own history, page by page: each page is one chat of 500 messages with its sessions, in one commit.

use super::{Shop, resident};
use serde_json::json;
use std::time::Instant;
use ventros::conversations::import::commands::StoreHistory;
use ventros::kernel::Timestamp;
use ventros::testing::block_on;

const PAGE: usize = 500;
/// 2020-01-01T00:00:00Z.
const START: i64 = 1_577_836_800;
/// What a process may have in memory at its peak, in MiB.
const BOUND: u64 = 200;

/// Stores so many pages, says how fast, and fails when memory grows with their number.
pub fn measure(shop: &Shop, pages: usize) {
    let began = Instant::now();
    let mut quarter = (began, 0);
    for number in 0..pages {
        let stored = block_on(shop.project.execute(page(shop, number))).unwrap();
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
