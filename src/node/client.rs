//! `SockhopClient`: attempts to connect, pinging.

use super::options::{Settings, id_of, interval};
use super::queue::Mailbox;
use super::tls::TlsClient;
use crate::net::{self, Endpoint};
use napi::bindgen_prelude::{Error, Result, Status};
use napi_derive::napi;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Where to connect: a path, or an IP address with a port.
#[napi(object)]
pub struct EndpointInit {
    /// A path of a Unix socket.
    pub path: Option<String>,
    /// An IP address (names are resolved in JavaScript, as Node resolves them).
    pub address: Option<String>,
    /// A port.
    pub port: Option<u16>,
}

impl EndpointInit {
    pub(super) fn into_net(self) -> Result<Endpoint> {
        if self.path.is_some() {
            return Ok(Endpoint::Unix(self.path));
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
        Ok(Endpoint::Inet(socket))
    }
}

/// The number of the link that the zone of an IPv6 address names; 0, which the system refuses where it needs one, if there
/// is no such link.
fn scope_of(address: &str, zone: &str) -> u32 {
    zone.parse().unwrap_or_else(|_| {
        // An address that is written out is not looked up anywhere: only its link is.
        let mut found = (address, 0).to_socket_addrs().into_iter().flatten();
        match found.next() {
            Some(SocketAddr::V6(v6)) => v6.scope_id(),
            _ => 0,
        }
    })
}

/// The native part of a client. `lib/SockhopClient.js` has one.
#[napi]
pub struct SockhopClient {
    inner: Arc<net::Client>,
}

#[napi]
impl SockhopClient {
    /// A client that is not connected; its events carry `id`.
    #[napi(constructor)]
    pub fn new(mailbox: &Mailbox, id: f64, settings: Settings) -> Result<Self> {
        Ok(Self {
            inner: net::Client::new(id_of(id), settings.into_net()?, Arc::clone(&mailbox.shared)),
        })
    }

    /// Begins an attempt, over TLS if there is `tls`, and answers its number. The next endpoint is tried when the one
    /// before it has failed or taken `pace` milliseconds.
    #[napi]
    pub fn connect_to(
        &self,
        endpoints: Vec<EndpointInit>,
        pace: f64,
        timeout: f64,
        tls: Option<&TlsClient>,
    ) -> Result<u32> {
        let endpoints = endpoints
            .into_iter()
            .map(EndpointInit::into_net)
            .collect::<Result<_>>()?;
        Ok(self.inner.connect(
            endpoints,
            interval(pace).unwrap_or_default(),
            interval(timeout).unwrap_or(Duration::MAX),
            tls.map(|tls| Arc::clone(&tls.inner)),
        ))
    }

    /// Gives up an attempt, or lets go of the connection: it is JavaScript that closes it.
    #[napi]
    pub fn detach(&self) {
        self.inner.detach();
    }

    /// Pings, and judges by the pings before. JavaScript sets the beat: a program that is blocked
    /// sends no pings, and declares nobody dead for answers it had no time to hear.
    #[napi]
    pub fn beat(&self) {
        self.inner.beat();
    }

    /// Forgets the pings sent so far.
    #[napi]
    pub fn clear_pings(&self) {
        self.inner.clear_pings();
    }
}
