'use strict';

/*
 * The exports of the binding, with client, server and session ready to be extended by the public
 * classes.
 *
 * Names on the prototypes of public classes belong to the program, whose subclasses may have
 * methods of any name. So the native methods of these three classes move from their names to
 * symbols, which are exported here. The native prototypes inherit from EventEmitter's, and so every
 * public object is both a native object and an EventEmitter; its constructor calls
 * `EventEmitter.call(this)` after `super()`.
 */

const { EventEmitter } = require('node:events');

/** @type {typeof import('./native')} */
const native = require('./binding.js');

/** Registered symbols, because jest loads this module for each file, and the binding once. */
const symbolOf = (name) => Symbol.for(`sockhop-native.${name}`);

for (const Class of [native.SockhopClient, native.SockhopServer, native.SockhopSession]) {
  const { prototype } = Class;
  for (const [name, method] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === 'constructor') continue;
    Object.defineProperty(prototype, symbolOf(name), { ...method, enumerable: false });
    delete prototype[name];
  }
  Object.setPrototypeOf(prototype, EventEmitter.prototype);
  Object.setPrototypeOf(Class, EventEmitter);
}

module.exports = {
  ...native,

  // A method of SockhopClient and SockhopServer.
  kMarks: symbolOf('marks'),

  // Methods of SockhopClient.
  kCancel: symbolOf('cancel'),
  kConnect: symbolOf('connect'),

  // Methods of SockhopServer.
  kDeliver: symbolOf('deliver'),
  kDeliverFrame: symbolOf('deliverFrame'),
  kDeliverMessage: symbolOf('deliverMessage'),
  kGroups: symbolOf('groups'),
  kJoin: symbolOf('join'),
  kLeaveGroup: symbolOf('leaveGroup'),
  kListen: symbolOf('listen'),
  kListenElsewhere: symbolOf('listenElsewhere'),
  kListenOn: symbolOf('listenOn'),
  kPing: symbolOf('ping'),

  // Methods of SockhopSession.
  kLeave: symbolOf('leave'),
};
