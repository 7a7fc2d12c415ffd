//! Imports on any store: the same as in memory, whoever dies meanwhile, and however often.

use crate::gateway::Memory;
use crate::house::{House, chat, on_the_day_before};
use serde_json::json;
use std::sync::Arc;
use ventros::storage::{MemoryStorage, Storage};

/// Twelve chats of a day; pages of 20, which end within a second.
fn a_day() -> Memory {
    let chats = (1..=12).map(|number| {
        let times: Vec<i64> =
            (0..45).map(|n: i64| on_the_day_before(6, 0) + (n / 4) * 900 + i64::from(number) * 17 + n % 2).collect();
        chat(number, &times)
    });
    Memory { most: 20, ..Memory::of(chats.collect()) }
}

/// What an import makes in memory, with nobody in its way.
fn expected() -> serde_json::Value {
    let house = House::on(Arc::new(MemoryStorage::default()), a_day());
    assert_eq!(house.import_all()["totals"]["imported"], 540);
    house.picture()
}

/// An import gives what it gives in memory; a second one adds nothing but itself.
pub fn twice_is_once(store: Arc<dyn Storage>) {
    let house = House::on(store, a_day());
    let first = house.import_all();
    assert_eq!((&first["status"], &first["totals"]["imported"]), (&json!("completed"), &json!(540)));
    assert_eq!(house.picture(), expected());
    house.world.assert_log_matches();
    let (messages, sessions) = (house.count("message.*"), house.count("session.*"));
    let second = house.import_all();
    assert_eq!((&second["totals"]["imported"], &second["totals"]["duplicate"]), (&json!(0), &json!(540)));
    assert_eq!((house.count("message.*"), house.count("session.*")), (messages, sessions));
    assert_eq!(house.picture(), expected());
    house.world.assert_log_matches();
}

/// Workers die in the middle of calls and of commits; those who follow end what they began.
pub fn the_dead_are_followed(store: Arc<dyn Storage>) {
    let mut house = House::on(store, a_day());
    let id = house.request();
    for death in 0..6 {
        house.die_in_a_call();
        house = house.succeeded(100 + death);
        house.world.clock.advance_seconds(61);
        (0..death % 2).for_each(|_| house.wait(1));
        house.world.clock.advance_seconds(1);
    }
    let import = house.finish(&id);
    assert_eq!((&import["status"], &import["totals"]["imported"]), (&json!("completed"), &json!(540)));
    assert_eq!((&import["totals"]["messages_seen"], &import["totals"]["chats_done"]), (&json!(540), &json!(12)));
    assert_eq!(house.picture(), expected());
    house.world.assert_log_matches();
}
