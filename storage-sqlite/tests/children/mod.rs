//! Child processes of a test: the same test program, run again with one of its tests and what that test is told.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A directory that goes with its test.
pub struct Directory(PathBuf);

impl Directory {
    pub fn fresh(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ventros-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("crm.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

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
