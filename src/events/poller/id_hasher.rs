//! A hash function for ids.

use std::hash::Hasher;

/// Hashes an id in a few nanoseconds. Ids are counted in this process, so no peer can choose ids
/// that collide. The slower hash function of the standard library protects from such a choice.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The map uses the upper bits and the lower ones. The factor is 2^64 divided by the golden
        // ratio, which spreads ids that follow each other.
        self.0 = (self.0 ^ id)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
