//! How to listen at an address.

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

/// The permissions of the file of a Unix socket. By default those that the umask leaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileMode {
    /// Replaces them.
    pub exact: Option<u32>,
    /// Is added to them, as by libuv.
    pub added: u32,
}
