//! The file of a listening Unix socket.

use super::listen_options::FileMode;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another server may hold the lock while it starts.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK_RETRY: Duration = Duration::from_millis(1);

/// The file that a listener has made. The process may change its directory, and another server may
/// replace the file: it is removed only if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The socket at a path. `None` for a name without a file, and for a file of another kind.
    pub(crate) fn of(path: impl AsRef<Path>) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let metadata = fs::symlink_metadata(&path).ok()?;
        metadata.file_type().is_socket().then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            path,
        })
    }

    pub(crate) fn set_mode(&self, mode: FileMode) -> io::Result<()> {
        if mode.exact.is_none() && mode.added == 0 {
            return Ok(());
        }
        let mut bits = mode.exact.unwrap_or(0) | mode.added;
        if mode.added != 0 {
            bits |= fs::symlink_metadata(&self.path)?.mode() & 0o777;
        }
        fs::set_permissions(&self.path, Permissions::from_mode(bits))
    }

    /// Removes the file, unless another one has replaced it. Returns whether it did.
    pub(crate) fn remove(self) -> bool {
        let Ok(metadata) = fs::symlink_metadata(&self.path) else {
            return false;
        };
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
            && fs::remove_file(&self.path).is_ok()
    }
}

/// Keeps other servers that take over stale files of a directory out of it. The kernel releases it
/// when the process ends.
pub(crate) struct DirectoryLock {
    /// The lock belongs to the open directory.
    _directory: File,
}

impl DirectoryLock {
    /// Locks the directory of a path, as soon as no other server has locked it.
    pub(crate) fn of(path: &str) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let directory = File::open(path.parent().unwrap_or(&path))?;
        let began = Instant::now();
        loop {
            match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(Self {
                        _directory: directory,
                    });
                }
                Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
