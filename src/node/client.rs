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

/// The native part of a client.
#[napi]
pub struct SockhopClient {
    inner: Arc<endpoint::Connector>,
    marks: Arc<connection::Marks>,
}

#[napi]
impl SockhopClient {
    /// A client without an attempt.
    #[napi(constructor, catch_unwind)]
    pub fn new(queue: &EventQueue, options: ConnectionOptions) -> Result<Self> {
        let config = options.into_config()?;
        Ok(Self {
            marks: Arc::clone(&config.marks),
            inner: endpoint::Connector::new(
                config,
                Arc::clone(&queue.shared),
                Arc::clone(&queue.listeners),
            ),
        })
    }

    /// Begins an attempt, over TLS if there is `tls`; its event carries `id`. The next endpoint is
    /// tried when the previous one has failed or taken `pace` milliseconds.
    #[napi(catch_unwind)]
    pub fn connect(
        &self,
        id: f64,
        endpoints: Vec<Endpoint>,
        pace: f64,
        tls: Option<&TlsClientConfig>,
    ) -> Result<()> {
        let endpoints = endpoints
            .into_iter()
            .map(Endpoint::into_address)
            .collect::<Result<_>>()?;
        self.inner.connect(
            id_of(id),
            endpoints,
            duration(pace).unwrap_or_default(),
            tls.map(|tls| Arc::clone(&tls.inner)),
        );
        Ok(())
    }

    /// Cancels the attempt in progress.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// How often its connections reached a mark.
    #[napi(catch_unwind)]
    pub fn marks(&self) -> Marks {
        Marks::from(&*self.marks)
    }
}
