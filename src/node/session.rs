//! `SockhopSession`: the membership of a connection in its server.

use super::connection::Connection;
use super::server::SockhopServer;
use crate::endpoint;
use napi::bindgen_prelude::{ClassInstance, FromNapiValue, Unknown};
use napi::{Env, JsValue};
use napi_derive::napi;
use std::cell::RefCell;
use std::sync::Arc;

/// A connection in the registry of its server, until this is dropped.
struct Membership {
    registry: Arc<endpoint::ConnectionRegistry>,
    place: u32,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.registry.remove(self.place);
    }
}

/// The native part of a session. From `enter_server` to `leave`, broadcasts and pings of the server
/// reach its connection.
#[napi]
#[derive(Default)]
pub struct SockhopSession {
    membership: RefCell<Option<Membership>>,
}

#[napi]
impl SockhopSession {
    /// A session that has not entered a server.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the connection from the server.
    #[napi(catch_unwind)]
    pub fn leave(&self) {
        drop(self.membership.take());
    }
}

impl SockhopSession {
    fn enter(&self, server: &SockhopServer, connection: &Connection) -> bool {
        let mut membership = self.membership.borrow_mut();
        if membership.is_some() {
            return false;
        }
        *membership = Some(Membership {
            registry: Arc::clone(&server.registry),
            place: server.registry.add(&connection.inner),
        });
        true
    }
}

/// Adds a connection to a server, because its session has started. False if `session` has entered
/// for another connection already, or was not constructed as a session (a Proxy, or an object that
/// inherits from a session). This is a function and not a method, so that one call does both.
#[napi(catch_unwind)]
#[cfg_attr(
    test,
    allow(dead_code, reason = "only the registration with Node refers to it")
)]
pub fn enter_server(
    env: Env,
    session: Unknown<'_>,
    server: &SockhopServer,
    connection: &Connection,
) -> bool {
    // SAFETY: the value belongs to the current call.
    let session =
        unsafe { ClassInstance::<SockhopSession>::from_napi_value(env.raw(), session.raw()) };
    session.is_ok_and(|session| session.enter(server, connection))
}
