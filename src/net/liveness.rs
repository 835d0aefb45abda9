//! Pings that were sent over one connection, and what came back.

use super::settings::Settings;
use crate::wire::{self, PingBody};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// So many pings in a row without an answer, and the peer counts as dead.
pub const UNANSWERED_LIMIT: usize = 4;

/// One ping, as `pings` shows it to the program.
#[derive(Debug, Clone)]
pub struct Ping {
    /// Its id on the wire.
    pub id: String,
    /// When it was sent, in milliseconds since 1970.
    pub created: u64,
    /// What the peer said about when it answered.
    pub returned: Value,
    /// When the answer came, in milliseconds since 1970.
    pub finished: Option<u64>,
    sent: Instant,
}

/// What to do at the beat of the ping timer.
#[derive(Debug, PartialEq, Eq)]
pub enum Beat {
    /// Send this frame.
    Send(Vec<u8>),
    /// The peer is dead.
    Dead,
}

/// The last few pings of one connection.
#[derive(Debug, Default)]
pub struct Liveness {
    pings: VecDeque<Ping>,
    round_trip: Option<Duration>,
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

impl Liveness {
    /// The timer beat: counts what is unanswered and makes the next ping.
    pub fn beat(&mut self, settings: &Settings) -> Beat {
        let ping = Ping {
            id: uuid::Uuid::new_v4().to_string(),
            created: now_ms(),
            returned: Value::Null,
            finished: None,
            sent: Instant::now(),
        };
        let mut frame = Vec::with_capacity(192);
        wire::write_ping(
            &mut frame,
            &ping.id,
            ping.created,
            &settings.transmit_terminator,
            settings.bare,
        );
        self.pings.push_back(ping);
        while self.pings.len() > UNANSWERED_LIMIT {
            self.pings.pop_front();
        }
        if self.pings.len() == UNANSWERED_LIMIT
            && self.pings.iter().all(|ping| ping.finished.is_none())
        {
            return Beat::Dead;
        }
        Beat::Send(frame)
    }

    /// A pong arrived. One that answers no ping is nothing.
    pub fn answered(&mut self, pong: &PingBody) {
        let Some(id) = pong.id.as_str() else { return };
        if let Some(ping) = self
            .pings
            .iter_mut()
            .find(|ping| ping.id == id && ping.finished.is_none())
        {
            ping.returned.clone_from(&pong.returned);
            ping.finished = Some(now_ms());
            self.round_trip = Some(ping.sent.elapsed());
        }
    }

    /// Forgets the pings: of a connection that could not hear their answers, or a timer that stopped.
    pub fn clear(&mut self) {
        self.pings.clear();
    }

    /// The pings, oldest first.
    pub fn pings(&self) -> impl Iterator<Item = &Ping> {
        self.pings.iter()
    }

    /// How long the last answered ping took.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::{Beat, Liveness, Settings};
    use crate::wire::{Control, control};

    fn sent(beat: Beat) -> Vec<u8> {
        match beat {
            Beat::Send(frame) => frame,
            Beat::Dead => panic!("the peer was declared dead"),
        }
    }

    fn pong_to(frame: &[u8]) -> crate::wire::PingBody {
        match control(&frame[..frame.len() - 1]) {
            Some(Control::Ping(body)) => body,
            other => panic!("not a ping: {other:?}"),
        }
    }

    #[test]
    fn the_fourth_beat_without_an_answer_is_death() {
        let settings = Settings::for_tests();
        let mut liveness = Liveness::default();
        for _ in 0..3 {
            sent(liveness.beat(&settings));
        }
        assert_eq!(liveness.beat(&settings), Beat::Dead);
    }

    #[test]
    fn one_answer_among_the_last_four_is_life() {
        let settings = Settings::for_tests();
        let mut liveness = Liveness::default();
        for round in 0..20 {
            let frame = sent(liveness.beat(&settings));
            if round % 3 == 0 {
                liveness.answered(&pong_to(&frame));
            }
        }
        assert!(liveness.round_trip().is_some());
    }

    #[test]
    fn an_answer_to_no_ping_counts_for_nothing() {
        let settings = Settings::for_tests();
        let mut liveness = Liveness::default();
        let frame = sent(liveness.beat(&settings));
        let mut stranger = pong_to(&frame);
        stranger.id = "somebody else's".into();
        liveness.answered(&stranger);
        stranger.id = serde_json::Value::Null;
        liveness.answered(&stranger);
        sent(liveness.beat(&settings));
        sent(liveness.beat(&settings));
        assert_eq!(liveness.beat(&settings), Beat::Dead);
    }
}
