//! A set of connections whose members keep their places, so that a thread can go through them in
//! parts while others come and go.

use std::sync::Arc;

/// Connections, each at a place of its own.
#[derive(Debug)]
pub(crate) struct Roster<C> {
    places: Vec<Option<Arc<C>>>,
    /// The places that are free.
    free: Vec<u32>,
}

impl<C> Default for Roster<C> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<C> Roster<C> {
    /// The number of members.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether there are no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a member. Returns its place.
    pub(crate) fn add(&mut self, member: Arc<C>) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(member);
            return place;
        }
        // A process has fewer descriptors than 2^32.
        let place = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Some(member));
        place
    }

    /// The member at a place.
    pub(crate) fn get(&self, place: u32) -> Option<&Arc<C>> {
        self.places.get(place as usize)?.as_ref()
    }

    /// Removes the member at a place. The caller drops it, outside the lock.
    pub(crate) fn remove(&mut self, place: u32) -> Option<Arc<C>> {
        let member = self.places.get_mut(place as usize)?.take()?;
        self.free.push(place);
        if self.is_empty() {
            *self = Self::default();
        }
        Some(member)
    }

    /// Appends the members at the places from `start` on to `members`, up to `limit` of them.
    /// Returns the next place, or `None` after the last.
    pub(crate) fn part(
        &self,
        start: usize,
        limit: usize,
        members: &mut Vec<Arc<C>>,
    ) -> Option<usize> {
        let mut places = self.places.iter().enumerate().skip(start);
        for (place, member) in &mut places {
            members.extend(member.clone());
            if members.len() >= limit {
                return Some(place + 1);
            }
        }
        None
    }

    /// The members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<C>> {
        self.places.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::Roster;
    use std::sync::Arc;

    #[test]
    fn members_keep_their_places_while_others_come_and_go() {
        let mut roster = Roster::default();
        let places: Vec<_> = (0..5).map(|member| roster.add(Arc::new(member))).collect();
        assert_eq!(roster.remove(places[1]).as_deref(), Some(&1));
        assert_eq!(roster.remove(places[1]), None);
        assert_eq!(roster.get(places[4]).map(|member| **member), Some(4));
        assert_eq!(roster.add(Arc::new(9)), places[1]);
        assert_eq!(roster.len(), 5);
    }

    #[test]
    fn parts_contain_each_member_once() {
        let mut roster = Roster::default();
        let places: Vec<_> = (0..10).map(|member| roster.add(Arc::new(member))).collect();
        for place in [0, 3, 9] {
            roster.remove(places[place]);
        }
        let mut seen = Vec::new();
        let mut next = Some(0);
        while let Some(start) = next {
            let mut part = Vec::new();
            next = roster.part(start, 3, &mut part);
            assert!(part.len() <= 3);
            seen.extend(part.into_iter().map(|member| *member));
        }
        assert_eq!(seen, [1, 2, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_roster_without_members_needs_no_memory() {
        let mut roster = Roster::default();
        let places: Vec<_> = (0..100)
            .map(|member| roster.add(Arc::new(member)))
            .collect();
        for place in places {
            roster.remove(place);
        }
        assert!(roster.is_empty());
        assert_eq!(roster.places.capacity() + roster.free.capacity(), 0);
    }
}
