//! A place for the files of one test.

use std::path::PathBuf;

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
