//! How many text messages of known customers get in, durably: one caller, 64 callers, 1 000 to a unit of work; each beside a
//! program written by hand that writes the same rows into the same tables, in turns.
//!
//! `VENTROS_INGEST` sets the number of messages of a turn with one caller (1 000), `VENTROS_TURNS` the number of turns (3),
//! `VENTROS_ONLY` picks one of the parts `one`, `many` and `together`, for profiling.

#![expect(clippy::print_stdout, reason = "a measurement is a program")]

mod shop;

use shop::hand::Hand;
use shop::{Shop, cpu, delivery, directory, size};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CUSTOMERS: usize = 500;
const CALLERS: usize = 64;
const TOGETHER: usize = 1_000;

/// Who writes a message: anybody, in no order.
fn customer(number: usize) -> usize {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % CUSTOMERS
}

/// Time of one message in each turn: by the clock and of the processor.
#[derive(Default)]
struct Taken(Vec<(Duration, Duration)>);

impl Taken {
    fn measure(&mut self, part: &str, messages: usize, work: impl FnOnce()) {
        if std::env::var("VENTROS_ONLY").is_ok_and(|only| only != part) {
            return;
        }
        let (clock, processor) = (Instant::now(), cpu());
        work();
        let per_message = |time: Duration| time / messages as u32;
        self.0.push((per_message(clock.elapsed()), per_message(cpu() - processor)));
    }

    /// The median turn: microseconds by the clock and of the processor.
    fn median(&self) -> (f64, f64) {
        let middle = |mut times: Vec<Duration>| {
            times.sort();
            times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        (middle(self.0.iter().map(|time| time.0).collect()), middle(self.0.iter().map(|time| time.1).collect()))
    }
}

fn main() {
    let (messages, turns) = (size("VENTROS_INGEST", 1_000), size("VENTROS_TURNS", 3));
    let directory = directory("ingest");
    let number = AtomicUsize::new(0);
    let next = || number.fetch_add(1, Ordering::Relaxed);
    let prepared = |name: &str| {
        let shop = Shop::open(&directory.join(name));
        let first: Vec<String> = (0..CUSTOMERS).map(|customer| delivery(customer, next())).collect();
        first.chunks(100).for_each(|some| shop.ingest_together(some));
        shop
    };
    let shop = prepared("crm.db");
    let copy = prepared("hand.db");
    ventros::testing::block_on(copy.crm.close()).expect("the file closes");
    let hand = Hand::open(&copy.path);

    let [mut one, mut many, mut together, mut hand_one, mut hand_together] = [const { Taken(Vec::new()) }; 5];
    let deliveries = |count: usize| -> Vec<String> {
        (0..count).map(|_| next()).map(|number| delivery(customer(number), number)).collect()
    };
    for _ in 0..turns {
        let single = deliveries(messages);
        one.measure("one", messages, || single.into_iter().for_each(|delivery| shop.ingest(delivery)));
        hand_one.measure("hand", messages, || {
            for number in (0..messages).map(|_| next()) {
                hand.begin();
                hand.message(customer(number), number);
                hand.commit();
            }
        });
        let each = (messages * 4).div_ceil(CALLERS);
        let of_callers: Vec<Vec<String>> = (0..CALLERS).map(|_| deliveries(each)).collect();
        many.measure("many", each * CALLERS, || {
            std::thread::scope(|scope| {
                for own in of_callers {
                    scope.spawn(|| own.into_iter().for_each(|delivery| shop.ingest(delivery)));
                }
            });
        });
        let units = (messages * 10).div_ceil(TOGETHER);
        let all = deliveries(units * TOGETHER);
        together.measure("together", all.len(), || all.chunks(TOGETHER).for_each(|unit| shop.ingest_together(unit)));
        hand_together.measure("hand", units * TOGETHER, || {
            for _ in 0..units {
                hand.begin();
                for number in (0..TOGETHER).map(|_| next()) {
                    hand.message(customer(number), number);
                }
                hand.commit();
            }
        });
    }

    println!("text messages of {CUSTOMERS} known customers, synchronous=FULL, median of {turns} turns");
    println!("{:<32} {:>12} {:>10} {:>12} {:>9}", "", "messages/s", "µs", "processor µs", "of hand");
    let line = |what: &str, taken: &Taken, beside: Option<&Taken>| {
        let (clock, processor) = taken.median();
        let share = beside.map_or(String::new(), |beside| format!("{:.2}", beside.median().0 / clock));
        println!("{what:<32} {:>12.0} {clock:>10.1} {processor:>12.1} {share:>9}", 1e6 / clock);
    };
    line("by hand, one to a commit", &hand_one, None);
    line("one caller", &one, Some(&hand_one));
    line("64 callers", &many, Some(&hand_one));
    line("by hand, 1 000 to a commit", &hand_together, None);
    line("1 000 to a unit of work", &together, Some(&hand_together));
    drop(hand);
    ventros::testing::block_on(shop.crm.close()).expect("the file closes");
    std::fs::remove_dir_all(&directory).expect("the folder goes");
}
