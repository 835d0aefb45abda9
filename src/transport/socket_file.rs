//! The file of a listening Unix socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The file that a listener has made. The process may change its directory, and another server may
/// replace the file: it is removed only if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The file that a socket was just bound to. `None` for a name without a file.
    pub(crate) fn of(path: impl AsRef<Path>) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let metadata = fs::symlink_metadata(&path).ok()?;
        metadata.file_type().is_socket().then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            path,
        })
    }

    /// Removes the file.
    pub(crate) fn remove(self) {
        let Ok(metadata) = fs::symlink_metadata(&self.path) else {
            return;
        };
        if (metadata.dev(), metadata.ino()) == (self.device, self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
