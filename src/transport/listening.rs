//! Makes listening sockets: binds them, or takes those that another process has bound.

use super::address::Address;
use super::socket::new_socket;
use super::socket_file::{DirectoryLock, FileMode, SocketFile};
use socket2::{Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// How to listen at an address.
#[derive(Debug, Clone, Copy)]
pub struct ListenOptions {
    /// How many connections may wait to be accepted.
    pub backlog: i32,
    /// The permissions of the file of a Unix socket.
    pub mode: FileMode,
    /// Whether the file of a Unix socket is replaced if no server answers on it.
    pub unlink_stale: bool,
    /// Whether an IPv6 address takes no IPv4 connections.
    pub ipv6_only: bool,
    /// Whether other sockets may listen at the same address, and the kernel distributes
    /// connections.
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 511,
            mode: FileMode::default(),
            unlink_stale: false,
            ipv6_only: false,
            reuse_port: false,
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    pub(crate) socket: Socket,
    /// The address, with the port that the system chose.
    pub(crate) address: Address,
    /// The file that was made for it.
    pub(crate) file: Option<SocketFile>,
}

impl Listening {
    /// Binds `address` and listens.
    pub fn bind(address: &Address, options: &ListenOptions) -> io::Result<Self> {
        let socket = new_socket(address)?;
        match address {
            Address::Inet(inet) => {
                bind_inet(&socket, inet, options)?;
                socket.listen(options.backlog)?;
                let bound = socket.local_addr()?.as_socket();
                Ok(Self {
                    address: bound.map_or_else(|| address.clone(), Address::Inet),
                    socket,
                    file: None,
                })
            }
            Address::Unix(path) => {
                let path = path.as_deref().unwrap_or_default();
                let file = listen_unix(&socket, address, path, options)?;
                Ok(Self {
                    address: address.clone(),
                    socket,
                    file,
                })
            }
        }
    }

    /// Listens on a duplicate of a socket that another process, or other code of this one, has
    /// bound. Its file, if it has one, is not this listener's. `backlog` replaces that of a socket
    /// which listens already.
    pub fn inherit(fd: BorrowedFd<'_>, backlog: Option<i32>) -> io::Result<Self> {
        let socket = Socket::from(fd.try_clone_to_owned()?);
        if socket.r#type()? != Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Some(backlog) = backlog {
            socket.listen(backlog)?;
        } else if !socket.is_listener()? {
            socket.listen(ListenOptions::default().backlog)?;
        }
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: Address::from_sock_addr(&socket.local_addr()?),
            socket,
            file: None,
        })
    }
}

fn bind_inet(socket: &Socket, address: &SocketAddr, options: &ListenOptions) -> io::Result<()> {
    // Allows binding a port in TIME_WAIT, as every server does.
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        share_port(socket)?;
    }
    if options.ipv6_only {
        socket.set_only_v6(true)?;
    }
    socket.bind(&(*address).into())
}

#[cfg(target_os = "linux")]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Other systems take the option, and give all connections to one of the sockets.
#[cfg(not(target_os = "linux"))]
fn share_port(_: &Socket) -> io::Result<()> {
    Err(rustix::io::Errno::NOTSUP.into())
}

/// Binds a path and listens there. Between the two nobody can connect, so the permissions apply
/// from the first connection on.
fn listen_unix(
    socket: &Socket,
    address: &Address,
    path: &str,
    options: &ListenOptions,
) -> io::Result<Option<SocketFile>> {
    let name = address.to_sock_addr()?;
    // Held until this listens: a second server that starts sees no socket that is bound, and looks
    // stale because it does not listen yet.
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
        (Ok(()), file) => Ok(file),
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
    // Looked at before the connection, so that a file which replaces it meanwhile stays.
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
