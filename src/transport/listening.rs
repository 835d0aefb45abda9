//! Makes listening sockets: binds them, or takes those that another process has bound.

use super::address::Address;
use super::listen_options::ListenOptions;
use super::socket::new_socket;
#[cfg(windows)]
use super::system::pipe::BoundPipe;
use super::system::{BoundSocket, SocketFile};
#[cfg(unix)]
use super::unix_path;
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::BorrowedFd;

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    pub(crate) socket: BoundSocket,
    /// The address, with the port that the system chose.
    pub(crate) address: Address,
    /// The file that was made for it.
    pub(crate) file: Option<SocketFile>,
}

impl Listening {
    /// Binds `address` and listens. On Windows the caller is in the context of the runtime.
    pub fn bind(address: &Address, options: &ListenOptions) -> io::Result<Self> {
        let (socket, address, file) = match address {
            Address::Inet(inet) => {
                let socket = new_socket(address)?;
                bind_inet(&socket, inet, options)?;
                socket.listen(options.backlog)?;
                let bound = socket.local_addr()?.as_socket();
                let bound = bound.map_or_else(|| address.clone(), Address::Inet);
                (socket.into(), bound, None)
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let path = path.as_deref().unwrap_or_default();
                let (socket, file) = unix_path::listen(address, path, options)?;
                (socket.into(), address.clone(), file)
            }
            #[cfg(windows)]
            Address::Unix(path) => {
                let pipe = BoundPipe::bind(path.as_deref().unwrap_or_default())?;
                (BoundSocket::Pipe(pipe), address.clone(), None)
            }
        };
        Ok(Self {
            socket,
            address,
            file,
        })
    }

    /// Listens on a duplicate of a socket that another process, or other code of this one, has
    /// bound. Its file, if it has one, is not this listener's. `backlog` replaces that of a socket
    /// which listens already.
    #[cfg(unix)]
    pub fn inherit(fd: BorrowedFd<'_>, backlog: Option<i32>) -> io::Result<Self> {
        let socket = Socket::from(fd.try_clone_to_owned()?);
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let Some(backlog) = backlog {
            socket.listen(backlog)?;
        } else if !listens(&socket)? {
            socket.listen(ListenOptions::default().backlog)?;
        }
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: Address::from_sock_addr(&socket.local_addr()?),
            socket: socket.into(),
            file: None,
        })
    }
}

fn bind_inet(socket: &Socket, address: &SocketAddr, options: &ListenOptions) -> io::Result<()> {
    // Allows binding a port in TIME_WAIT, as every server does. Windows allows that anyway, and
    // takes this as the permission to bind a port that another socket has.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    if options.reuse_port {
        share_port(socket)?;
    }
    // The default of Windows is not that of Node.
    if options.ipv6_only || (cfg!(windows) && address.is_ipv6()) {
        socket.set_only_v6(options.ipv6_only)?;
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
    #[cfg(unix)]
    let error = rustix::io::Errno::NOTSUP.into();
    #[cfg(windows)]
    let error =
        io::Error::from_raw_os_error(windows_sys::Win32::Networking::WinSock::WSAEOPNOTSUPP);
    Err(error)
}

/// Whether a socket listens already.
#[cfg(target_os = "linux")]
fn listens(socket: &Socket) -> io::Result<bool> {
    socket.is_listener()
}

/// Other systems do not report it. Listening once more only changes the backlog.
#[cfg(all(unix, not(target_os = "linux")))]
#[allow(clippy::unnecessary_wraps)] // as on Linux
fn listens(_: &Socket) -> io::Result<bool> {
    Ok(false)
}
