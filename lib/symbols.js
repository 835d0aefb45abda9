'use strict';

/*
 * The names of methods and accessors that the parts of this package use of each other, on objects that a program has
 * too. A program may give a socket any property, and a subclass any method: none of these is in its way.
 */

module.exports = {
  kAttach: Symbol('attach'),
  kBeat: Symbol('beat'),
  kBytesOnly: Symbol('bytesOnly'),
  kClearPings: Symbol('clearPings'),
  kConnected: Symbol('connected'),
  kConnection: Symbol('connection'),
  kCounted: Symbol('counted'),
  kDead: Symbol('dead'),
  kDepart: Symbol('depart'),
  kEnded: Symbol('ended'),
  kFailed: Symbol('failed'),
  kFlush: Symbol('flush'),
  kFlushed: Symbol('flushed'),
  kHalt: Symbol('halt'),
  kHeld: Symbol('held'),
  kIsClear: Symbol('isClear'),
  kHold: Symbol('hold'),
  kIsWrapped: Symbol('isWrapped'),
  kLeave: Symbol('leave'),
  kLimit: Symbol('limit'),
  kMoveTo: Symbol('moveTo'),
  kPeer: Symbol('peer'),
  kPings: Symbol('pings'),
  kPlain: Symbol('plain'),
  kPong: Symbol('pong'),
  kReceive: Symbol('receive'),
  kReceiveRaw: Symbol('receiveRaw'),
  kRelease: Symbol('release'),
  kRoundTrip: Symbol('roundTrip'),
  kScope: Symbol('scope'),
  kSelf: Symbol('self'),
  kShow: Symbol('show'),
  kStart: Symbol('start'),
  kStarting: Symbol('starting'),
  kTooLarge: Symbol('tooLarge'),
  kTraffic: Symbol('traffic'),
  kTransmit: Symbol('transmit'),
  kWrite: Symbol('write'),
};
