'use strict';

// One assignment a name: that is how `import { client } from 'sockhop-native'` finds them.

const ClusterSession = require('./lib/ClusterSession.js');
const SockhopClient = require('./lib/SockhopClient.js');
const SockhopError = require('./lib/SockhopError.js');
const SockhopServer = require('./lib/SockhopServer.js');
const SockhopSession = require('./lib/SockhopSession.js');
const ObjectBuffer = require('./lib/ObjectBuffer.js');
const { SockhopPing, SockhopPong } = require('./lib/SockhopPing.js');
const { SockhopSocket } = require('./lib/SockhopSocket.js');
const {
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseReadableStream,
  SockhopResponseWriteableStream,
} = require('./lib/SockhopRequest.js');

exports.server = SockhopServer;
exports.client = SockhopClient;
exports.session = SockhopSession;
exports.error = SockhopError;

exports.Server = SockhopServer;
exports.Client = SockhopClient;
exports.Session = SockhopSession;
exports.Error = SockhopError;

exports.SockhopServer = SockhopServer;
exports.SockhopClient = SockhopClient;
exports.SockhopSession = SockhopSession;
exports.ClusterSession = ClusterSession;
exports.SockhopError = SockhopError;
exports.SockhopSocket = SockhopSocket;
exports.SockhopPing = SockhopPing;
exports.SockhopPong = SockhopPong;
exports.SockhopRequest = SockhopRequest;
exports.SockhopResponsePacket = SockhopResponsePacket;
exports.SockhopResponseReadableStream = SockhopResponseReadableStream;
exports.SockhopResponseWriteableStream = SockhopResponseWriteableStream;
exports.ObjectBuffer = ObjectBuffer;
