//! Child processes of a test: the same test program, run again with one of its tests and what that test is told.

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Runs the test `child` of this program, with its standard input and output in our hands.
pub fn spawn(told: &[(&str, String)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .envs(told.iter().map(|(name, value)| (format!("VENTROS_CHILD_{name}"), value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child was told; `None` in the program that no test has started.
pub fn told(name: &str) -> Option<String> {
    std::env::var(format!("VENTROS_CHILD_{name}")).ok()
}

/// Tells the parent, in a line of its own: the harness may have begun one.
pub fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
