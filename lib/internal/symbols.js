'use strict';

/*
 * Names of methods and properties that the modules of this package use of each other's objects.
 * They are symbols because programs extend those objects: a string could be the name of a program's
 * own method or property.
 */

module.exports = {
  // The interface of transports, which message channels call: see transport/transport.js.
  kTransmit: Symbol('transmit'),
  kTransmitBinary: Symbol('transmitBinary'),
  kTransmitBytes: Symbol('transmitBytes'),
  kTransmitFrame: Symbol('transmitFrame'),
  kMayTransmitFrames: Symbol('mayTransmitFrames'),
  kTransmitControl: Symbol('transmitControl'),
  kMayTransmitBinary: Symbol('mayTransmitBinary'),
  kOfferBinary: Symbol('offerBinary'),
  kWriteBytes: Symbol('writeBytes'),
  kTakeQueued: Symbol('takeQueued'),
  kFlush: Symbol('flush'),
  kStartReading: Symbol('startReading'),
  kRetain: Symbol('retain'),
  kReleaseRetained: Symbol('releaseRetained'),
  kTraffic: Symbol('traffic'),
  kFigures: Symbol('figures'),
  kSize: Symbol('size'),
  kRoundTrip: Symbol('roundTrip'),
  kPings: Symbol('pings'),
  kNextPing: Symbol('nextPing'),
  kHasShownPings: Symbol('hasShownPings'),
  kClearPings: Symbol('clearPings'),
  kOnPong: Symbol('onPong'),
  kHasCustomWrite: Symbol('hasCustomWrite'),
  kSetShowControl: Symbol('setShowControl'),
  kSetBytesOnly: Symbol('setBytesOnly'),

  // Methods of a SockhopSocket for its client or server, and for its write coalescer.
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
  kOnCoalescerAtRest: Symbol('onCoalescerAtRest'),
  kResumeNativeWrites: Symbol('resumeNativeWrites'),

  // Methods of the three layers of a SockhopSocket for each other.
  kReplaceConnection: Symbol('replaceConnection'),
  kCloseConnection: Symbol('closeConnection'),
  kIsOver: Symbol('isOver'),
  kIsHandleInUse: Symbol('isHandleInUse'),
  kOnHandleUnused: Symbol('onHandleUnused'),

  // Methods of a SockhopSocket that the dispatcher calls for events of the native connection.
  kAsyncScope: Symbol('asyncScope'),
  kOnFrame: Symbol('onFrame'),
  kOnBinaryFrame: Symbol('onBinaryFrame'),
  kOnRawBytes: Symbol('onRawBytes'),
  kUncountFrame: Symbol('uncountFrame'),
  kOnTooLarge: Symbol('onTooLarge'),
  kOnEnd: Symbol('onEnd'),
  kOnError: Symbol('onError'),
  kOnFlushed: Symbol('onFlushed'),
  kOnUnresponsive: Symbol('onUnresponsive'),

  // Methods of response streams and packets, for message channels and their backlogs.
  kBacklog: Symbol('backlog'),
  kEndHeld: Symbol('endHeld'),
  kHoldPackets: Symbol('holdPackets'),
  kReleasePackets: Symbol('releasePackets'),
  kHasBufferedPackets: Symbol('hasBufferedPackets'),
  kTextLength: Symbol('textLength'),
  kOweTo: Symbol('oweTo'),
  kQueued: Symbol('queued'),

  // Methods of ObjectBuffers and pings, for message channels.
  kMaxFrameSize: Symbol('maxFrameSize'),
  kHasOversizedFrame: Symbol('hasOversizedFrame'),
  kOriginalMethods: Symbol('originalMethods'),

  // A method of a server, for its sessions: a subclass may use the name `call` for its own method.
  kCall: Symbol('call'),

  // A property of the session class: the sessions that could not start.
  kFailedSessions: Symbol('failedSessions'),

  // A property of any public object: the object itself, even if a Proxy of it is used.
  kTarget: Symbol('target'),
};
