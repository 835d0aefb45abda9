'use strict';

/*
 * Names of methods and properties that the modules of this package use of each other's objects.
 * They are symbols because programs extend those objects: a string could be the name of a program's
 * own method or property.
 */

module.exports = {
  // A transport, see transport/transport.js: what a message channel calls.
  kTransmit: Symbol('transmit'),
  kWriteBytes: Symbol('writeBytes'),
  kFlush: Symbol('flush'),
  kStartReading: Symbol('startReading'),
  kRetain: Symbol('retain'),
  kReleaseRetained: Symbol('releaseRetained'),
  kTraffic: Symbol('traffic'),
  kRoundTrip: Symbol('roundTrip'),
  kPings: Symbol('pings'),
  kNextPing: Symbol('nextPing'),
  kHasShownPings: Symbol('hasShownPings'),
  kClearPings: Symbol('clearPings'),
  kOnPong: Symbol('onPong'),
  kHasCustomWrite: Symbol('hasCustomWrite'),
  kSetShowControl: Symbol('setShowControl'),
  kSetBytesOnly: Symbol('setBytesOnly'),

  // A SockhopSocket: what its client or server and its write coalescer call.
  kChannel: Symbol('channel'),
  kConnection: Symbol('connection'),
  kAttachConnection: Symbol('attachConnection'),
  kMarkConnected: Symbol('markConnected'),
  kMoveToStream: Symbol('moveToStream'),
  kStopPreSessionReading: Symbol('stopPreSessionReading'),
  kCanWriteNow: Symbol('canWriteNow'),
  kWriteMessage: Symbol('writeMessage'),
  kWriteBatch: Symbol('writeBatch'),
  kOnDrainListeners: Symbol('onDrainListeners'),
  kResumeNativeWrites: Symbol('resumeNativeWrites'),

  // A SockhopSocket: what its three layers call of each other.
  kReplaceConnection: Symbol('replaceConnection'),
  kCloseConnection: Symbol('closeConnection'),
  kIsOver: Symbol('isOver'),
  kIsHandleInUse: Symbol('isHandleInUse'),
  kOnHandleUnused: Symbol('onHandleUnused'),

  // A SockhopSocket: what the dispatcher calls for the events of its native connection.
  kAsyncScope: Symbol('asyncScope'),
  kOnFrame: Symbol('onFrame'),
  kOnRawBytes: Symbol('onRawBytes'),
  kOnTooLarge: Symbol('onTooLarge'),
  kOnEnd: Symbol('onEnd'),
  kOnError: Symbol('onError'),
  kOnFlushed: Symbol('onFlushed'),
  kOnUnresponsive: Symbol('onUnresponsive'),

  // A response stream and its packets: what a message channel and its backlog use.
  kBacklog: Symbol('backlog'),
  kHoldPackets: Symbol('holdPackets'),
  kReleasePackets: Symbol('releasePackets'),
  kHasBufferedPackets: Symbol('hasBufferedPackets'),
  kTextLength: Symbol('textLength'),

  // An ObjectBuffer: what a message channel uses.
  kMaxFrameSize: Symbol('maxFrameSize'),
  kHasOversizedFrame: Symbol('hasOversizedFrame'),
  kOriginalMethods: Symbol('originalMethods'),

  // The session class: the sessions that could not start.
  kFailedSessions: Symbol('failedSessions'),

  // Any public object: the object behind a Proxy of it.
  kTarget: Symbol('target'),
};
