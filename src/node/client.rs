//! `SockhopClient`: attempts to connect.

use super::address::Endpoint;
use super::options::{ConnectionOptions, Marks};
use super::queue::EventQueue;
use super::tls::TlsClientConfig;
use super::values::{duration, id as id_of};
use crate::{connection, endpoint};
use napi::bindgen_prelude::Result;
use napi_derive::napi;
use std::sync::Arc;
use std::time::Duration;

/// The native part of a client.
#[napi]
pub struct SockhopClient {
    inner: Arc<endpoint::Connector>,
    marks: Arc<connection::Marks>,
}

#[napi]
impl SockhopClient {
    /// A client that is not connected; its events carry `id`.
    #[napi(constructor, catch_unwind)]
    pub fn new(queue: &EventQueue, id: f64, options: ConnectionOptions) -> Result<Self> {
        let config = options.into_config()?;
        Ok(Self {
            marks: Arc::clone(&config.marks),
            inner: endpoint::Connector::new(
                id_of(id),
                config,
                Arc::clone(&queue.shared),
                Arc::clone(&queue.listeners),
            ),
        })
    }

    /// Begins an attempt, over TLS if there is `tls`, and returns its number. The next endpoint is
    /// tried when the previous one has failed or taken `pace` milliseconds.
    #[napi(catch_unwind)]
    pub fn connect(
        &self,
        endpoints: Vec<Endpoint>,
        pace: f64,
        timeout: f64,
        tls: Option<&TlsClientConfig>,
    ) -> Result<u32> {
        let endpoints = endpoints
            .into_iter()
            .map(Endpoint::into_endpoint)
            .collect::<Result<_>>()?;
        Ok(self.inner.connect(
            endpoints,
            duration(pace).unwrap_or_default(),
            duration(timeout).unwrap_or(Duration::MAX),
            tls.map(|tls| Arc::clone(&tls.inner)),
        ))
    }

    /// Cancels an attempt, or drops the connection, which JavaScript closes.
    #[napi(catch_unwind)]
    pub fn detach(&self) {
        self.inner.detach();
    }

    /// Forgets the pings sent so far.
    #[napi(catch_unwind)]
    pub fn clear_pings(&self) {
        self.inner.clear_pings();
    }

    /// How often its connections reached a mark.
    #[napi(catch_unwind)]
    pub fn marks(&self) -> Marks {
        Marks::from(&*self.marks)
    }
}
