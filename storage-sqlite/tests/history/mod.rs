//! Imports on any store: the same as in memory, whoever dies meanwhile, and however often.

use crate::gateway::Memory;
use crate::house::{House, chat, on_the_day_before};
use serde_json::json;
use std::sync::Arc;
use ventros::storage::{MemoryStorage, Storage};
use ventros::testing::{Fault, WatchedStorage, block_on};

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

/// Chats of up to 200 messages, each with sessions of about nine.
fn years(messages: usize) -> Memory {
    let chats = (0..messages.div_ceil(200)).map(|number| {
        let count = (messages - number * 200).min(200);
        let at =
            |n: usize| on_the_day_before(0, 0) - 40 * 86_400 + (n / 9 * 7_200 + n % 9 * 60 + number % 3_000) as i64;
        chat(u32::try_from(number + 1).unwrap(), &(0..count).map(at).collect::<Vec<i64>>())
    });
    Memory { most: 100, ..Memory::of(chats.collect()) }
}

/// An engine and its store are lost at random calls, before the store hears of them or after; those who follow open the store again and
/// go on. The end has the same hash as that of an import with nobody in its way. Gives the hash.
pub fn killed_and_resumed(open: impl Fn(&str) -> Arc<dyn Storage>, messages: usize, kills: u64, seed: u64) -> String {
    let undisturbed = WatchedStorage::around(open("undisturbed"));
    let house = House::on(undisturbed.clone(), years(messages));
    undisturbed.take_calls();
    let whole = go_on(&house, &house.request(), None);
    assert_eq!((&whole["status"], &whole["totals"]["imported"]), (&json!("completed"), &json!(messages)));
    let (expected, calls) = (house.digest(), undisturbed.take_calls().len());
    drop((house, undisturbed));

    let mut store = WatchedStorage::around(open("killed"));
    let mut house = House::on(store.clone(), years(messages));
    let id = house.request();
    let mut random = seed;
    for kill in 0..kills {
        // Of a linear congruential generator the upper bits are the random ones.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = 1 + (random >> 33) as usize % (calls / (kills as usize + 1));
        store.die(number, if random >> 32 & 1 == 0 { Fault::Before } else { Fault::After });
        go_on(&house, &id, Some(&store));
        assert!(store.is_dead(), "seed {seed}: death {kill} at call {number} came too late");
        drop(store);
        store = WatchedStorage::around(open("killed"));
        house = house.succeeded_on(store.clone(), 100 + kill);
        house.world.clock.advance_seconds(61);
    }
    let import = go_on(&house, &id, None);
    assert_eq!(
        (&import["status"], &import["totals"]["imported"]),
        (&json!("completed"), &json!(messages)),
        "seed {seed}"
    );
    assert_eq!(house.digest(), expected, "seed {seed}");
    expected
}

/// Works until the import has ended, or its store is dead.
fn go_on(house: &House, id: &serde_json::Value, mortal: Option<&WatchedStorage>) -> serde_json::Value {
    loop {
        let ran = block_on(house.world.crm.run_pending());
        if mortal.is_some_and(WatchedStorage::is_dead) {
            return serde_json::Value::Null;
        }
        ran.unwrap();
        if let Ok(import) = house.call("imports.get", json!({"id": id}))
            && ["completed", "partial", "failed", "cancelled"].contains(&import["status"].as_str().unwrap())
        {
            house.run();
            return import;
        }
        house.world.clock.advance_seconds(1);
    }
}
