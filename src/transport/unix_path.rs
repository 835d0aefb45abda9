//! Listens at a path of the file system, or at an abstract name of Linux.

use super::address::Address;
use super::listen_options::ListenOptions;
use super::socket::new_socket;
use super::socket_file::{DirectoryLock, SocketFile};
use socket2::Socket;
use std::io;

/// Binds a path and listens there. No client can connect between the two steps, so the permissions
/// apply from the first connection on.
pub(super) fn listen(
    address: &Address,
    path: &str,
    options: &ListenOptions,
) -> io::Result<(Socket, Option<SocketFile>)> {
    let socket = new_socket(address)?;
    let name = address.to_sock_addr()?;
    // Held until this server listens. Otherwise a second server could find a bound socket that does
    // not listen yet, and take it for stale.
    let _lock = if options.unlink_stale && !path.starts_with('\0') {
        Some(DirectoryLock::of(path)?)
    } else {
        None
    };
    match socket.bind(&name) {
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && options.unlink_stale
                && remove_stale(address, path)? =>
        {
            socket.bind(&name)?;
        }
        result => result?,
    }
    let file = SocketFile::of(path);
    let listens = file
        .as_ref()
        .map_or(Ok(()), |file| file.set_mode(options.mode))
        .and_then(|()| socket.listen(options.backlog));
    match (listens, file) {
        (Ok(()), file) => Ok((socket, file)),
        (Err(error), file) => {
            if let Some(file) = file {
                file.remove();
            }
            Err(error)
        }
    }
}

/// Removes the file of a Unix socket that no server has open. Returns whether the path is free.
fn remove_stale(address: &Address, path: &str) -> io::Result<bool> {
    // The file is looked at before connecting, so that a file which replaces it in the meantime
    // stays.
    let file = SocketFile::of(path);
    match new_socket(address)?.connect(&address.to_sock_addr()?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(file.is_some_and(SocketFile::remove))
        }
        // Something answers, or its queue is full, or this process must not connect to it.
        _ => Ok(false),
    }
}
