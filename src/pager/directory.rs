//! The directory channel: letters as files, each whole or not there. Writing a letter again changes nothing.

use super::Answer;
use super::letter::Letter;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A directory that exists, or can be made.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    pub fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned() }
    }

    /// Writes every file of a letter, the most telling last.
    pub async fn write(&self, letter: &Letter) -> Answer {
        let (path, files) = (self.path.clone(), letter.files.clone());
        let written = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&path)?;
            files.iter().try_for_each(|file| write_whole(&path, &file.name, &file.text))?;
            File::open(&path)?.sync_all()
        });
        match written.await {
            Ok(Ok(())) => Answer::accepted("written"),
            // A full disk or a missing right may be mended while we wait.
            Ok(Err(error)) => Answer::retry(format!("write the files: {}", error.kind())),
            Err(_) => Answer::retry("writing the files broke off"),
        }
    }
}

/// A file that a reader finds whole or not at all.
fn write_whole(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = directory.join(format!(".{name}.new"));
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, directory.join(name))
}
