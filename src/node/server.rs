//! `SockhopServer`: listening, broadcasts, pings.

use super::address::Endpoint;
use super::connection::Connection;
use super::descriptors;
use super::listener::{ListenFailure, ListenOptions, Listener};
use super::options::{ConnectionOptions, Marks};
use super::queue::EventQueue;
use super::strings;
use super::tls_server::TlsAcceptor;
use super::values::{count, id as id_of};
use crate::connection;
use crate::endpoint::{self, LocalListeners};
use crate::protocol::{ClusterLine, ClusterRun};
use crate::transport::{Listening, SystemError};
use napi::bindgen_prelude::{Either, Error, Result, Status, Uint8ArraySlice, Unknown};
use napi_derive::napi;
use std::io;
use std::sync::Arc;

/// The native part of a server.
#[napi]
pub struct SockhopServer {
    pub(super) registry: Arc<endpoint::ConnectionRegistry>,
    config: Arc<connection::Config>,
    environment: Arc<connection::Environment>,
    listeners: Arc<LocalListeners>,
}

impl SockhopServer {
    fn accept_at(
        &self,
        id: f64,
        listening: io::Result<Listening>,
        tls: Option<&TlsAcceptor>,
    ) -> Either<Listener, ListenFailure> {
        let listening = listening.map_err(|error| SystemError::new("listen", &error));
        Listener::or_failure(listening.and_then(|listening| {
            endpoint::Listener::listen(
                id_of(id),
                listening,
                Arc::clone(&self.config),
                Arc::clone(&self.environment),
                Arc::clone(&self.listeners),
                tls.map(|tls| Arc::clone(&tls.inner)),
            )
        }))
    }
}

#[napi]
impl SockhopServer {
    /// A server that does not listen.
    #[napi(constructor, catch_unwind)]
    pub fn new(queue: &EventQueue, options: ConnectionOptions) -> Result<Self> {
        Ok(Self {
            registry: endpoint::ConnectionRegistry::new(Arc::clone(&queue.shared)),
            config: options.into_config()?,
            environment: Arc::clone(&queue.shared),
            listeners: Arc::clone(&queue.listeners),
        })
    }

    /// Binds and accepts; events of the listener carry `id`. With `tls`, connections are secured.
    #[napi(catch_unwind)]
    pub fn listen(
        &self,
        id: f64,
        endpoint: Endpoint,
        options: ListenOptions,
        tls: Option<&TlsAcceptor>,
    ) -> Result<Either<Listener, ListenFailure>> {
        let address = endpoint.into_address()?;
        let listening = endpoint::listener::bind(&address, &options.into());
        Ok(self.accept_at(id, listening, tls))
    }

    /// Accepts at a socket that is bound, and takes its descriptor over if that succeeds.
    #[napi(catch_unwind)]
    pub fn listen_on(
        &self,
        id: f64,
        fd: i32,
        backlog: Option<i32>,
        tls: Option<&TlsAcceptor>,
    ) -> Either<Listener, ListenFailure> {
        let listener = self.accept_at(id, descriptors::inherit(fd, backlog), tls);
        if matches!(listener, Either::A(_)) {
            descriptors::close_inherited(fd);
        }
        listener
    }

    /// Makes a listener that does not accept: `adopt` takes connections that were accepted
    /// elsewhere. With `endpoint`, it binds that, and other code accepts at a duplicate of its
    /// descriptor.
    #[napi(catch_unwind)]
    pub fn listen_elsewhere(
        &self,
        id: f64,
        tls: Option<&TlsAcceptor>,
        endpoint: Option<Endpoint>,
        options: Option<ListenOptions>,
    ) -> Result<Either<Listener, ListenFailure>> {
        let bound = match endpoint.zip(options) {
            None => Ok(None),
            Some((endpoint, options)) => {
                let address = endpoint.into_address()?;
                endpoint::listener::bind(&address, &options.into()).map(Some)
            }
        };
        let bound = bound.map_err(|error| SystemError::new("listen", &error));
        Ok(Listener::or_failure(bound.and_then(|bound| {
            endpoint::Listener::elsewhere(
                id_of(id),
                bound,
                Arc::clone(&self.config),
                Arc::clone(&self.environment),
                Arc::clone(&self.listeners),
                tls.map(|tls| Arc::clone(&tls.inner)),
            )
        })))
    }

    /// Sends a text of `length` UTF-16 units to every connection, or to those in `group`, except
    /// those whose ids are in `except`. A `BroadcastDone` event with `id` follows, unless that is
    /// 0. Returns how many connections there are, those in `except` included.
    #[napi(catch_unwind)]
    pub fn deliver(
        &self,
        text: Unknown<'_>,
        length: u32,
        group: Option<String>,
        except: Option<Vec<f64>>,
        id: f64,
    ) -> Result<u32> {
        let except: Vec<_> = except.iter().flatten().copied().map(id_of).collect();
        let id = Some(id_of(id)).filter(|id| *id > 0);
        strings::with_utf8(&text, length, |bytes| {
            let kept = if strings::is_filled(bytes) {
                std::mem::take(bytes)
            } else {
                bytes.clone()
            };
            let reached = self.registry.deliver(kept, group.as_deref(), &except, id);
            count(reached)
        })
    }

    /// Like `deliver`, for the bytes of a frame, and to every connection.
    #[napi(catch_unwind)]
    pub fn deliver_frame(&self, frame: Uint8ArraySlice<'_>, id: f64) -> u32 {
        let id = Some(id_of(id)).filter(|id| *id > 0);
        count(self.registry.deliver(frame.to_vec(), None, &[], id))
    }

    /// Like `deliver`, for a message of another node, or for several that `read_cluster_run` has
    /// read: their payloads, in envelopes unless `json_mode`.
    #[napi(catch_unwind)]
    pub fn deliver_message(
        &self,
        message: Uint8ArraySlice<'_>,
        json_mode: bool,
        group: Option<String>,
        except: Option<Vec<f64>>,
    ) -> Result<u32> {
        let members = group
            .as_deref()
            .map(|group| self.registry.member_count(group));
        if members == Some(0) {
            return Ok(0);
        }
        let lines = match ClusterRun::read(&message) {
            Some(run) => run.lines,
            None => vec![
                ClusterLine::read(&message)
                    .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))?,
            ],
        };
        let except: Vec<_> = except.iter().flatten().copied().map(id_of).collect();
        let mut frames = Vec::with_capacity(message.len());
        for line in &lines {
            line.write_frame(json_mode, &mut frames);
            frames.extend_from_slice(self.config.transmit_terminator.as_bytes());
        }
        let messages = lines.len() as u64;
        let reached = self
            .registry
            .deliver_all(frames, messages, group.as_deref(), &except);
        Ok(count(reached))
    }

    /// Adds a connection of this server to a group. False if it is in the group already, or not in
    /// this server.
    #[napi(catch_unwind)]
    pub fn join(&self, connection: &Connection, group: String) -> Result<bool> {
        self.registry
            .join(&connection.inner, &group)
            .map_err(|error| Error::new(Status::InvalidArg, error.to_string()))
    }

    /// Removes a connection from a group. False if it is not in the group.
    #[napi(catch_unwind)]
    pub fn leave_group(&self, connection: &Connection, group: String) -> bool {
        self.registry.leave(&connection.inner, &group)
    }

    /// The groups that a connection is in.
    #[napi(catch_unwind)]
    pub fn groups(&self, connection: &Connection) -> Vec<String> {
        let groups = self.registry.groups(&connection.inner);
        groups.iter().map(ToString::to_string).collect()
    }

    /// Sends the next ping, and reports connections as dead that left earlier ones unanswered.
    /// JavaScript has the timer. A blocked program therefore does not ping, and reports no
    /// connection as dead whose answers it has not read.
    #[napi(catch_unwind)]
    pub fn ping(&self) {
        self.registry.beat();
    }

    /// How often its connections reached a mark.
    #[napi(catch_unwind)]
    pub fn marks(&self) -> Marks {
        Marks::from(&*self.config.marks)
    }
}
