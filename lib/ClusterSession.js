'use strict';

const SockhopSession = require('./SockhopSession.js');

/**
 * A session with its id and groups as members. `server.cluster` has the same for sessions of any
 * class.
 */
class ClusterSession extends SockhopSession {
  /** The address of this session, on all nodes. @type {string} */
  get id() {
    return this.server.cluster.id_of(this);
  }

  /** The names of its groups. @type {Set<string>} */
  get groups() {
    return this.server.cluster.groups_of(this);
  }

  /**
   * @param {string} group
   * @returns {Promise<void>} fulfilled when messages that are published to the group from now on
   *   arrive
   */
  join(group) {
    return this.server.cluster.join(this, group);
  }

  /**
   * @param {string} group
   * @returns {Promise<void>}
   */
  leave(group) {
    return this.server.cluster.leave(this, group);
  }

  /**
   * Sends an object to all members of a group on all nodes, except this session.
   *
   * @param {string} group
   * @param {*} object
   * @returns {Promise} as `server.sendall()`
   */
  broadcast(group, object) {
    const { cluster } = this.server;
    return cluster.group(group).send(object, { except: cluster.id_of(this) });
  }
}

module.exports = ClusterSession;
