//! Decides which thread should read a connection, by its traffic.

use crate::transport::Stream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Classifies the traffic of a connection as request/response or bulk.
///
/// The event loop reads requests and responses, because that saves a hop between threads, and bulk
/// if there is no processor to spare. The runtime reads a stream of small packets, because its hop
/// gathers many of them into one wake-up of JavaScript. It also reads bulk if another processor can
/// read or decrypt it while JavaScript handles earlier data.
#[derive(Debug, Default)]
pub(crate) struct TrafficStats {
    /// Grows with large reads, shrinks with small ones.
    bulk: u32,
    /// The number of reads in a row without a write in between, and when that row began.
    unanswered: u32,
    since: Option<Instant>,
    /// The writes counted at the last read.
    writes: u32,
    /// The number of reads in a row that were not bulk, and how many of them had a write before
    /// them.
    small: u32,
    answered: u32,
    /// There was a pause before the last read.
    paused: bool,
    last: Option<Instant>,
    /// The last read was small.
    little: bool,
}

/// A read of this many bytes is bulk after this many reads without a write.
const BULK_READS: u32 = 4;
const BULK_BYTES: usize = 32 * 1024;
/// A connection with this many bulk reads counts as bulk.
const FLOOD_BULK: u32 = 8;
/// This many small reads without a write within this time are a stream of small packets.
const FLOOD_READS: u32 = 512;
const FLOOD_TIME: Duration = Duration::from_millis(20);
/// This many reads in a row that are not bulk are a dialogue, if at least one in `QUIET_PART` is
/// answered.
const QUIET_READS: u32 = 64;
const QUIET_PART: u32 = 8;
/// Traffic after a pause of this length is also a dialogue.
const QUIET_PAUSE: Duration = Duration::from_millis(20);

impl TrafficStats {
    /// Records a read at `now`; `writes` is the number of writes by then.
    pub(crate) fn add(&mut self, now: Instant, bytes: usize, writes: u32) {
        let answered = writes != self.writes;
        if answered {
            self.unanswered = 0;
        } else {
            self.unanswered += 1;
        }
        self.little = bytes < BULK_BYTES;
        // Many requests at once, whose responses take a few reads, are still a dialogue.
        let bulk = self.unanswered >= BULK_READS && !self.little;
        self.writes = writes;
        self.paused = self.last.is_some_and(|last| now - last >= QUIET_PAUSE);
        self.last = Some(now);
        self.bulk = if bulk {
            self.bulk + 1
        } else {
            self.bulk.saturating_sub(1)
        };
        if self.unanswered <= 1 || self.since.is_none_or(|since| now - since > FLOOD_TIME) {
            self.unanswered = self.unanswered.min(1);
            self.since = Some(now);
        }
        if bulk {
            self.small = 0;
            self.answered = 0;
        } else {
            self.small += 1;
            self.answered += u32::from(answered);
        }
    }

    /// Whether a connection should move from the event loop to the runtime. `beside`: the runtime
    /// reads bulk.
    pub(crate) fn is_for_runtime(&self, beside: bool) -> bool {
        (self.little && self.unanswered >= FLOOD_READS) || (beside && self.is_bulk())
    }

    /// Whether a connection should move from the runtime to the event loop; `beside` as above.
    pub(crate) fn is_for_loop(&self, beside: bool) -> bool {
        let dialogue = self.small >= QUIET_READS && self.answered * QUIET_PART >= self.small;
        self.paused || dialogue || (!beside && self.is_bulk())
    }

    fn is_bulk(&self) -> bool {
        self.bulk >= FLOOD_BULK
    }
}

/// Whether the runtime reads bulk: if it has to be decrypted, or there is a processor to spare.
/// With two processors, of which the peer may use one, the hop between threads costs more than it
/// gains.
pub(super) fn runtime_reads_bulk(stream: &Stream) -> bool {
    static SPARE: OnceLock<bool> = OnceLock::new();
    let spare = || std::thread::available_parallelism().is_ok_and(|count| count.get() > 2);
    stream.is_secure() || *SPARE.get_or_init(spare)
}

/// Whether a connection may move between the readers. `SOCKHOP_READER=loop` keeps all on the event
/// loop.
pub(super) fn may_move() -> bool {
    static FIXED: OnceLock<bool> = OnceLock::new();
    !*FIXED.get_or_init(|| std::env::var_os("SOCKHOP_READER").is_some_and(|place| place == "loop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statistics, the time, and the number of writes.
    struct Traffic {
        stats: TrafficStats,
        now: Instant,
        writes: u32,
    }

    impl Traffic {
        fn new() -> Self {
            Self {
                stats: TrafficStats::default(),
                now: Instant::now(),
                writes: 0,
            }
        }

        fn read(&mut self, bytes: usize) {
            self.now += Duration::from_micros(10);
            self.stats.add(self.now, bytes, self.writes);
        }
    }

    #[test]
    fn requests_answered_one_by_one_are_a_dialogue() {
        let mut traffic = Traffic::new();
        for _ in 0..QUIET_READS {
            traffic.read(100);
            traffic.writes += 1;
            assert!(!traffic.stats.is_for_runtime(true));
        }
        assert!(traffic.stats.is_for_loop(true));
    }

    #[test]
    fn a_hundred_requests_at_once_whose_responses_take_a_few_reads_are_a_dialogue() {
        let mut traffic = Traffic::new();
        for _ in 0..QUIET_READS {
            for _ in 0..BULK_READS {
                traffic.read(4096);
                assert!(!traffic.stats.is_for_runtime(true));
            }
            traffic.writes += 1;
        }
        assert!(traffic.stats.is_for_loop(true));
    }

    #[test]
    fn bulk_is_for_the_loop_unless_another_processor_can_read_it() {
        let mut traffic = Traffic::new();
        let reads = (0..100)
            .take_while(|_| {
                traffic.read(64 * 1024);
                !traffic.stats.is_for_loop(false)
            })
            .count();
        assert!(reads < 16, "{reads}");
        assert!(!traffic.stats.is_for_runtime(false) && !traffic.stats.is_for_loop(true));
        assert!(traffic.stats.is_for_runtime(true));
    }

    #[test]
    fn packets_that_come_as_fast_as_they_are_read_are_for_the_runtime() {
        let mut traffic = Traffic::new();
        for _ in 0..FLOOD_READS {
            traffic.read(100);
        }
        assert!(traffic.stats.is_for_runtime(false));
        assert!(!traffic.stats.is_for_loop(false));
        traffic.read(BULK_BYTES);
        assert!(!traffic.stats.is_for_runtime(true));
    }

    #[test]
    fn slow_packets_are_not_for_the_runtime_and_after_a_pause_the_loop_reads() {
        let mut traffic = Traffic::new();
        for _ in 0..2 * FLOOD_READS {
            traffic.now += FLOOD_TIME / 4;
            traffic.read(100);
            assert!(!traffic.stats.is_for_runtime(true));
        }
        for _ in 0..100 {
            traffic.read(64 * 1024);
        }
        assert!(!traffic.stats.is_for_loop(true));
        traffic.now += QUIET_PAUSE;
        traffic.read(100);
        assert!(traffic.stats.is_for_loop(true));
    }
}
