//! The whole product is killed again and again while it works: messages at once and deferred, decisions of people, timers,
//! reactions, a durable callback. `VENTROS_KILLS` sets how many processes die; by default as many as fit into some seconds.

pub mod verdict;
pub mod victim;

use crate::children::spawn;
use crate::shop::Shop;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::ChildStdout;
use std::time::{Duration, Instant, SystemTime};
use ventros::testing::ManualClock;
use verdict::Witness;

/// Kills in one place; then a fresh one, so that what is checked after each stays small.
const KILLS_PER_PLACE: usize = 20;
/// Without `VENTROS_KILLS`: when to stop killing.
const BUDGET: Duration = Duration::from_secs(12);

/// What a child process runs; alone it does nothing.
pub fn child() {
    victim::live();
}

/// Kills in places of which `fresh` makes one at a time: the store there, and what keeps it until it is dropped.
pub fn kill_again_and_again<K>(fresh: impl Fn(usize) -> (String, K)) {
    let wanted: Option<usize> = std::env::var("VENTROS_KILLS").ok().map(|kills| kills.parse().unwrap());
    let start = Instant::now();
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let mut kills = 0;
    while kills < wanted.unwrap_or(KILLS_PER_PLACE) && (wanted.is_some() || start.elapsed() < BUDGET) {
        let until = wanted.map_or(KILLS_PER_PLACE, |wanted| (kills + KILLS_PER_PLACE).min(wanted));
        let (place, _kept) = fresh(kills);
        let epoch = SystemTime::now();
        let shop = Shop::found(&place, ManualClock::at(victim::START), 1);
        victim::hurry(&shop);
        let address = shop.address();
        drop(shop);
        let mut witness = Witness::default();
        while kills < until && (wanted.is_some() || start.elapsed() < BUDGET) {
            let told = victim::told(&place, kills, 0, epoch, &address);
            let mut child = spawn(&told);
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            // Mostly in full work, sometimes while it starts.
            if chance.below(5) > 0 {
                assert!(hear(&mut lines, &mut witness, 1 + chance.below(60)), "the child stopped by itself");
            } else {
                std::thread::sleep(Duration::from_micros(chance.below(200_000) as u64));
            }
            std::thread::sleep(Duration::from_micros(chance.below(4_000) as u64));
            child.kill().unwrap();
            hear(&mut lines, &mut witness, usize::MAX);
            assert_eq!(child.wait().unwrap().signal(), Some(9), "the child stopped by itself");
            kills += 1;
            witness.after_a_kill(&Shop::visit(&place, ManualClock::at(victim::START), 2, &address));
        }
        witness.in_the_end(&place, &address, epoch);
    }
    eprintln!("{kills} processes were killed in {:?}", start.elapsed());
}

/// Listens for so many acknowledgements; false when the child ends before.
fn hear(lines: &mut BufReader<ChildStdout>, witness: &mut Witness, acknowledgements: usize) -> bool {
    let mut heard = 0;
    for line in lines.lines().map_while(Result::ok) {
        heard += usize::from(witness.hear(&line));
        if heard == acknowledgements {
            return true;
        }
    }
    false
}

/// Numbers that look random and are the same in every run.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % limit
    }
}
