//! Turns of one part of a measurement, and the line that they make in the table.

use super::cpu;
use std::time::{Duration, Instant};

/// Time of one message in each turn: by the clock and of the processor.
#[derive(Default)]
pub struct Taken(pub Vec<(Duration, Duration)>);

impl Taken {
    /// Runs one turn. `VENTROS_ONLY` picks one of the parts.
    pub fn measure(&mut self, part: &str, messages: usize, work: impl FnOnce()) {
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

    /// Prints a line of the table; `beside` is what it is compared with.
    pub fn print(&self, what: &str, beside: Option<&Taken>) {
        let (clock, processor) = self.median();
        let share = beside.map_or(String::new(), |beside| format!("{:.2}", beside.median().0 / clock));
        println!("{what:<40} {:>12.0} {clock:>10.1} {processor:>12.1} {share:>9}", 1e6 / clock);
    }

    pub fn print_head(unit: &str) {
        println!("{:<40} {:>12} {:>10} {:>12} {:>9}", "", format!("{unit}/s"), "µs", "processor µs", "of hand");
    }
}
