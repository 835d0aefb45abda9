//! The groups of connections of a server, by their names. A group exists while it has members.

use super::roster::Roster;
use crate::connection::broadcast_log::GroupId;
use std::collections::HashMap;
use std::sync::Arc;

struct Group<C> {
    name: Arc<str>,
    members: Roster<C>,
}

/// The groups of one server.
pub(crate) struct Groups<C> {
    ids: HashMap<Arc<str>, GroupId>,
    by_id: HashMap<GroupId, Group<C>>,
    next: GroupId,
}

impl<C> Default for Groups<C> {
    fn default() -> Self {
        Self {
            ids: HashMap::new(),
            by_id: HashMap::new(),
            next: 0,
        }
    }
}

impl<C> Groups<C> {
    /// The id of a group that has members.
    pub(crate) fn id(&self, name: &str) -> Option<GroupId> {
        self.ids.get(name).copied()
    }

    /// The name of a group.
    pub(crate) fn name(&self, id: GroupId) -> Option<&Arc<str>> {
        Some(&self.by_id.get(&id)?.name)
    }

    /// The members of a group.
    pub(crate) fn members(&self, id: GroupId) -> Option<&Roster<C>> {
        Some(&self.by_id.get(&id)?.members)
    }

    /// The id of a group that is about to get a member.
    pub(crate) fn found(&mut self, name: &str) -> GroupId {
        if let Some(id) = self.id(name) {
            return id;
        }
        let id = self.next;
        self.next += 1;
        let name: Arc<str> = name.into();
        self.ids.insert(Arc::clone(&name), id);
        let members = Roster::default();
        self.by_id.insert(id, Group { name, members });
        id
    }

    /// Adds a member to a group. Returns its place there.
    pub(crate) fn add(&mut self, id: GroupId, member: Arc<C>) -> Option<u32> {
        Some(self.by_id.get_mut(&id)?.members.add(member))
    }

    /// Removes a member from a group, and the group if it was the last. The caller drops the
    /// member, outside the lock.
    pub(crate) fn remove(&mut self, id: GroupId, place: u32) -> Option<Arc<C>> {
        let group = self.by_id.get_mut(&id)?;
        let member = group.members.remove(place);
        if group.members.is_empty() {
            self.ids.remove(&group.name);
            self.by_id.remove(&id);
        }
        member
    }
}
