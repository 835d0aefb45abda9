//! Addresses across the border: where to connect or listen, and the two ends of a connection.

use crate::transport::Address;
use napi::bindgen_prelude::{Error, Result, Status};
use napi_derive::napi;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Where to connect or to listen: a path, or an IP address with a port.
#[napi(object)]
pub struct Endpoint {
    /// A path of a Unix socket.
    pub path: Option<String>,
    /// An IP address. JavaScript looks names up, as Node does.
    pub address: Option<String>,
    /// A port.
    pub port: Option<u16>,
}

impl Endpoint {
    pub(super) fn into_address(self) -> Result<Address> {
        if self.path.is_some() {
            return Ok(Address::Unix(self.path));
        }
        let address = self.address.unwrap_or_default();
        let (text, zone) = address.split_once('%').unwrap_or((&address, ""));
        let ip: IpAddr = text
            .parse()
            .map_err(|_| Error::new(Status::InvalidArg, format!("not an IP address: {address}")))?;
        let mut socket = SocketAddr::new(ip, self.port.unwrap_or(0));
        if let SocketAddr::V6(v6) = &mut socket
            && !zone.is_empty()
        {
            v6.set_scope_id(scope_of(&address, zone));
        }
        Ok(Address::Inet(socket))
    }
}

/// The number of the link that the zone of an IPv6 address names. It is 0 if there is no such link;
/// the system refuses 0 if it needs a link.
fn scope_of(address: &str, zone: &str) -> u32 {
    zone.parse().unwrap_or_else(|_| {
        // A numeric address causes no query: only the name of its link is looked up.
        let mut found = (address, 0).to_socket_addrs().into_iter().flatten();
        match found.next() {
            Some(SocketAddr::V6(v6)) => v6.scope_id(),
            _ => 0,
        }
    })
}

/// One end of a connection, or the address of a listener.
#[napi(object)]
pub struct EndAddress {
    /// An IP address, or a path.
    pub address: String,
    /// The port, of an IP address.
    pub port: Option<u16>,
    /// `IPv4` or `IPv6`, of an IP address.
    pub family: Option<String>,
    /// The number of the link, of a link-local address.
    pub scope: Option<u32>,
}

impl EndAddress {
    /// `None` for a Unix socket without a path.
    pub(super) fn of(address: &Address) -> Option<Self> {
        match address {
            Address::Inet(inet) => Some(Self {
                address: inet.ip().to_string(),
                port: Some(inet.port()),
                scope: match inet {
                    SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => Some(v6.scope_id()),
                    _ => None,
                },
                family: Some(family(inet).to_owned()),
            }),
            Address::Unix(path) => path.clone().map(|address| Self {
                address,
                port: None,
                family: None,
                scope: None,
            }),
        }
    }
}

/// The family as Node writes it.
pub(super) fn family(address: &SocketAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}
