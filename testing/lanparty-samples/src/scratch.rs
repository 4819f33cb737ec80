//! A temporary folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells folders of one process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder of its own that is gone when the test is over.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty folder whose name has `name` in it.
    ///
    /// # Panics
    ///
    /// Panics if the system makes no folder.
    pub fn new(name: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("lanparty-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&path).expect("a temporary folder");

        Self(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Some tests remove it themselves.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_is_its_own_and_goes_with_its_content() {
        let (one, two) = (Scratch::new("same"), Scratch::new("same"));
        assert_ne!(one.path(), two.path());

        let file = one.file("file");
        std::fs::write(&file, "text").unwrap();
        drop(one);
        assert!(!file.exists() && two.path().is_dir());
    }
}
