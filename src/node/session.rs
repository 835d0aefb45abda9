//! `SockhopSession`: the server's side of one connection, which programs extend.

use super::connection::{Connection, Traffic};
use crate::net;
use napi_derive::napi;
use std::sync::{Arc, Weak};

/// The native part of a session. `lib/SockhopSession.js` extends it.
///
/// It refers to its connection weakly: a session that a program keeps does not keep the connection.
#[napi]
#[derive(Default)]
pub struct SockhopSession {
    connection: Option<Weak<net::Connection>>,
}

#[napi]
impl SockhopSession {
    /// A session without a connection.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ties the session to its connection.
    #[napi(js_name = "_attach")]
    pub fn attach(&mut self, connection: &Connection) {
        self.connection = Some(Arc::downgrade(&connection.inner));
    }

    /// The counters of its connection, while that lives.
    #[napi(js_name = "_traffic")]
    pub fn traffic(&self) -> Option<Traffic> {
        self.connection
            .as_ref()
            .and_then(Weak::upgrade)
            .map(|connection| connection.traffic().into())
    }
}
