//! The terminator of frames, and how to find it.

use std::fmt;
use std::sync::Arc;

use memchr::memmem;

/// The byte sequence that ends a frame.
///
/// Cloning is cheap: clones share the bytes and the search prepared for them, so a server
/// prepares its terminator once for all its connections.
#[derive(Clone)]
pub struct Terminator(Arc<Prepared>);

struct Prepared {
    bytes: Box<[u8]>,
    /// Finds a terminator of several bytes; `memchr` finds one of a single byte.
    finder: memmem::Finder<'static>,
    /// The failure function of Knuth, Morris and Pratt: the first `n + 1` bytes of the terminator
    /// end with its first `fallback[n]` bytes, and `fallback[n]` is the greatest such number below
    /// `n + 1`. It finds a terminator that is split over chunks without reading an earlier chunk
    /// again.
    fallback: Box<[usize]>,
}

/// A terminator must not be empty, because every frame would end before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the terminator must not be empty")]
pub struct EmptyTerminator;

impl Terminator {
    /// Prepares the search for `text`, which ends a frame wherever its UTF-8 bytes occur.
    ///
    /// # Errors
    ///
    /// [`EmptyTerminator`] if `text` is empty.
    pub fn new(text: &str) -> Result<Self, EmptyTerminator> {
        if text.is_empty() {
            return Err(EmptyTerminator);
        }
        let bytes = text.as_bytes();
        Ok(Self(Arc::new(Prepared {
            bytes: bytes.into(),
            finder: memmem::Finder::new(bytes).into_owned(),
            fallback: fallback(bytes),
        })))
    }

    /// The bytes of the terminator; at least one.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The number of bytes; at least one.
    pub(super) fn width(&self) -> usize {
        self.0.bytes.len()
    }

    /// The byte of a terminator that has only one.
    pub(super) fn single(&self) -> Option<u8> {
        match *self.0.bytes {
            [byte] => Some(byte),
            _ => None,
        }
    }

    /// The prepared search for the whole terminator.
    pub(super) fn finder(&self) -> &memmem::Finder<'static> {
        &self.0.finder
    }

    /// The index of the first terminator in `haystack`.
    pub(super) fn find(&self, haystack: &[u8]) -> Option<usize> {
        match self.single() {
            Some(byte) => memchr::memchr(byte, haystack),
            None => self.0.finder.find(haystack),
        }
    }

    /// The number of bytes of the terminator that match once `byte` follows its first `partial`
    /// bytes.
    ///
    /// `partial` must be less than [`width`](Self::width): the caller stops at a full match.
    pub(super) fn step(&self, mut partial: usize, byte: u8) -> usize {
        let bytes = &self.0.bytes;
        while bytes[partial] != byte {
            if partial == 0 {
                return 0;
            }
            partial = self.0.fallback[partial - 1];
        }
        partial + 1
    }
}

/// Terminators are equal if their bytes are.
impl PartialEq for Terminator {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Terminator {}

impl fmt::Debug for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terminator(\"{}\")", self.as_bytes().escape_ascii())
    }
}

fn fallback(bytes: &[u8]) -> Box<[usize]> {
    let mut table = vec![0; bytes.len()];
    let mut length = 0;
    for at in 1..bytes.len() {
        while length > 0 && bytes[length] != bytes[at] {
            length = table[length - 1];
        }
        if bytes[length] == bytes[at] {
            length += 1;
        }
        table[at] = length;
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_terminator_is_refused() {
        assert_eq!(Terminator::new("").unwrap_err(), EmptyTerminator);
    }

    #[test]
    fn a_terminator_is_measured_in_bytes() {
        assert_eq!(Terminator::new("é").unwrap().as_bytes(), [0xC3, 0xA9]);
        assert_eq!(Terminator::new("\r\n").unwrap().width(), 2);
        assert_eq!(Terminator::new("\0").unwrap().single(), Some(0));
    }

    #[test]
    fn clones_share_the_prepared_search() {
        let terminator = Terminator::new("Weasel").unwrap();
        assert!(Arc::ptr_eq(&terminator.0, &terminator.clone().0));
    }

    #[test]
    fn terminators_are_compared_by_their_bytes() {
        assert_eq!(
            Terminator::new("\r\n").unwrap(),
            Terminator::new("\r\n").unwrap()
        );
        assert_ne!(
            Terminator::new("\r\n").unwrap(),
            Terminator::new("\n").unwrap()
        );
        assert_eq!(
            format!("{:?}", Terminator::new("\r\n").unwrap()),
            r#"Terminator("\r\n")"#
        );
    }

    /// The specification of `step`: the longest beginning of the terminator that the bytes so far
    /// end with.
    #[test]
    fn stepping_follows_the_longest_beginning() {
        for text in ["a", "ab", "aa", "aab", "aabaab", "abab", "abaabab"] {
            let terminator = Terminator::new(text).unwrap();
            for bits in 0..1 << 12 {
                let mut seen = Vec::new();
                let mut partial = 0;
                for at in 0..12 {
                    seen.push(if bits >> at & 1 == 0 { b'a' } else { b'b' });
                    partial = terminator.step(partial, *seen.last().unwrap());
                    let longest = (0..=text.len())
                        .rev()
                        .find(|&n| seen.ends_with(&text.as_bytes()[..n]));
                    assert_eq!(
                        Some(partial),
                        longest,
                        "{text} after {}",
                        seen.escape_ascii()
                    );
                    if partial == text.len() {
                        break;
                    }
                }
            }
        }
    }
}
