//! The pings that were sent over one connection, and their answers.

use crate::connection::config::Config;
use crate::protocol::{self, PingBody};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The peer counts as dead after this many pings in a row without an answer.
pub const UNANSWERED_LIMIT: usize = 4;

/// Pings and pongs are not queued beyond this many bytes for a peer that does not read them.
pub const PONG_LIMIT: usize = 64 * 1024;

/// One ping, as the program sees it.
#[derive(Debug, Clone)]
pub struct Ping {
    /// The id in its frame.
    pub id: String,
    /// When it was sent, in milliseconds since 1970.
    pub created: u64,
    /// The time of the answer by the peer's clock, as the peer wrote it.
    pub returned: Value,
    /// When the answer arrived, in milliseconds since 1970.
    pub finished: Option<u64>,
    sent: Instant,
}

/// The action at a beat of the ping timer.
#[derive(Debug, PartialEq, Eq)]
pub enum HeartbeatAction {
    /// Send this frame.
    Send(Vec<u8>),
    /// Report that the peer is dead.
    Dead,
}

/// The progress of a connection's bytes. Each count only grows.
#[derive(Debug, Default, Clone, Copy)]
pub struct Progress {
    /// Bytes received, except pings and pongs: a pong that answers nothing does not show that the
    /// peer is alive.
    pub received: u64,
    /// Bytes that the kernel accepted.
    pub sent: u64,
    /// Whether more bytes wait for the kernel. It accepts them only as fast as the peer reads.
    pub waiting: bool,
    /// The size of the kernel's send buffer.
    pub held: u64,
}

/// The most beats that a peer gets to read the bytes in the kernel's buffer.
const CREDIT_LIMIT: u64 = 32;

impl Progress {
    /// Whether the bytes that moved since `before` prove that the peer is alive.
    fn is_ahead_of(&self, before: &Self) -> bool {
        self.received > before.received || (before.waiting && self.sent != before.sent)
    }
}

/// The last few pings of one connection.
#[derive(Debug, Default)]
pub struct Heartbeat {
    pings: VecDeque<Ping>,
    round_trip: Option<Duration>,
    /// The progress at the last beat.
    progress: Progress,
    /// The number of beats in a row without progress.
    still: usize,
    /// `pace` is the largest number of bytes that left between two beats while more waited.
    /// `credit` is the number of beats that the peer gets to read the bytes in buffers on the way,
    /// before it can see a ping.
    pace: u64,
    credit: u64,
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

impl Heartbeat {
    /// Counts the unanswered pings and makes the next one. A peer whose bytes still move is alive:
    /// its answer may follow a large message, in either direction.
    pub fn beat(&mut self, config: &Config, progress: Progress) -> HeartbeatAction {
        let moves = progress.is_ahead_of(&self.progress);
        if self.progress.waiting && progress.sent > self.progress.sent {
            self.pace = self.pace.max(progress.sent - self.progress.sent);
            self.credit = (2 * progress.held / self.pace).min(CREDIT_LIMIT);
        }
        self.progress = progress;
        if moves {
            self.still = 0;
        } else if self.credit > 0 {
            self.credit -= 1;
        } else {
            self.still += 1;
            self.pace = 0;
        }
        let ping = Ping {
            id: uuid::Uuid::new_v4().to_string(),
            created: now_ms(),
            returned: Value::Null,
            finished: None,
            sent: Instant::now(),
        };
        let mut frame = Vec::with_capacity(192);
        protocol::write_ping(
            &mut frame,
            &ping.id,
            ping.created,
            &config.transmit_terminator,
            config.json_mode,
        );
        self.pings.push_back(ping);
        while self.pings.len() > UNANSWERED_LIMIT {
            self.pings.pop_front();
        }
        if self.pings.len() == UNANSWERED_LIMIT
            && self.pings.iter().all(|ping| ping.finished.is_none())
            && self.still >= UNANSWERED_LIMIT - 1
        {
            return HeartbeatAction::Dead;
        }
        HeartbeatAction::Send(frame)
    }

    /// Records a pong. One that answers no ping is ignored.
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

    /// Forgets the unanswered pings, because their answers may have arrived without being read yet.
    pub fn forget_unanswered(&mut self) {
        self.pings.retain(|ping| ping.finished.is_some());
    }

    /// Forgets all pings, because the timer restarts or stops.
    pub fn clear(&mut self) {
        self.pings.clear();
    }

    /// The pings, oldest first.
    pub fn pings(&self) -> impl Iterator<Item = &Ping> {
        self.pings.iter()
    }

    /// The round-trip time of the last answered ping.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Heartbeat, HeartbeatAction, Progress};
    use crate::protocol::{Control, parse_control};

    fn sent(beat: HeartbeatAction) -> Vec<u8> {
        match beat {
            HeartbeatAction::Send(frame) => frame,
            HeartbeatAction::Dead => panic!("the peer was declared dead"),
        }
    }

    fn pong_to(frame: &[u8]) -> crate::protocol::PingBody {
        match parse_control(&frame[..frame.len() - 1]) {
            Some(Control::Ping(body)) => body,
            other => panic!("not a ping: {other:?}"),
        }
    }

    #[test]
    fn a_ping_whose_answer_may_be_unread_is_forgotten_and_an_answered_one_is_kept() {
        let config = Config::for_tests();
        let mut heartbeat = Heartbeat::default();
        let frame = sent(heartbeat.beat(&config, Progress::default()));
        heartbeat.answered(&pong_to(&frame));
        for _ in 0..9 {
            sent(heartbeat.beat(&config, Progress::default()));
            heartbeat.forget_unanswered();
        }
        let pings: Vec<_> = heartbeat.pings().collect();
        assert_eq!(pings.len(), 1);
        assert!(pings[0].finished.is_some());
    }

    #[test]
    fn the_fourth_beat_without_an_answer_is_death() {
        let config = Config::for_tests();
        let mut heartbeat = Heartbeat::default();
        for _ in 0..3 {
            sent(heartbeat.beat(&config, Progress::default()));
        }
        assert_eq!(
            heartbeat.beat(&config, Progress::default()),
            HeartbeatAction::Dead
        );
    }

    #[test]
    fn one_answer_among_the_last_four_is_life() {
        let config = Config::for_tests();
        let mut heartbeat = Heartbeat::default();
        for round in 0..20 {
            let frame = sent(heartbeat.beat(&config, Progress::default()));
            if round % 3 == 0 {
                heartbeat.answered(&pong_to(&frame));
            }
        }
        assert!(heartbeat.round_trip().is_some());
    }

    #[test]
    fn an_answer_to_no_ping_is_ignored() {
        let config = Config::for_tests();
        let mut heartbeat = Heartbeat::default();
        let frame = sent(heartbeat.beat(&config, Progress::default()));
        let mut stranger = pong_to(&frame);
        stranger.id = "of another connection".into();
        heartbeat.answered(&stranger);
        stranger.id = serde_json::Value::Null;
        heartbeat.answered(&stranger);
        sent(heartbeat.beat(&config, Progress::default()));
        sent(heartbeat.beat(&config, Progress::default()));
        assert_eq!(
            heartbeat.beat(&config, Progress::default()),
            HeartbeatAction::Dead
        );
    }

    #[test]
    fn a_peer_is_alive_while_bytes_move_and_dead_when_they_have_stopped() {
        let config = Config::for_tests();
        let incoming = |beat: u64| Progress {
            received: 1000 * beat,
            ..Progress::default()
        };
        let outgoing = |beat: u64| Progress {
            sent: 1000 * beat,
            waiting: true,
            held: 400,
            ..Progress::default()
        };
        for moving in [incoming as fn(u64) -> Progress, outgoing] {
            let mut heartbeat = Heartbeat::default();
            for beat in 0..50 {
                sent(heartbeat.beat(&config, moving(beat)));
            }
            for _ in 0..2 {
                sent(heartbeat.beat(&config, moving(49)));
            }
            assert_eq!(heartbeat.beat(&config, moving(49)), HeartbeatAction::Dead);
        }
    }

    #[test]
    fn a_peer_has_time_for_the_bytes_in_the_kernels_buffer() {
        let config = Config::for_tests();
        let mut heartbeat = Heartbeat::default();
        let mut beats = 0;
        loop {
            let progress = Progress {
                sent: 1000 * beats.min(10),
                waiting: beats < 10,
                held: 3000,
                ..Progress::default()
            };
            if heartbeat.beat(&config, progress) == HeartbeatAction::Dead {
                break;
            }
            beats += 1;
        }
        // Six beats for twice the bytes in the buffer, and three for unanswered pings.
        assert_eq!(beats, 10 + 6 + 3);
    }

    #[test]
    fn bytes_that_the_kernel_takes_at_once_are_no_sign_of_life() {
        let config = Config::for_tests();
        let mut heartbeat = Heartbeat::default();
        let beats = (0..10).take_while(|beat| {
            let progress = Progress {
                sent: 200 * beat,
                ..Progress::default()
            };
            heartbeat.beat(&config, progress) != HeartbeatAction::Dead
        });
        assert_eq!(beats.count(), 3);
    }
}
