// Every way to get at the classes, from a CommonJS module. Compiled, never run.

import Sockhop = require('sockhop-native');
import ObjectBuffer = require('sockhop-native/lib/ObjectBuffer');
import ObjectBufferJs = require('sockhop-native/lib/ObjectBuffer.js');
import SockhopClient = require('sockhop-native/lib/SockhopClient.js');
import SockhopError = require('sockhop-native/lib/SockhopError.js');
import SockhopServer = require('sockhop-native/lib/SockhopServer.js');
import SockhopSession = require('sockhop-native/lib/SockhopSession.js');
import TimedMap = require('sockhop-native/lib/TimedMap.js');

import { SockhopPing, SockhopPong } from 'sockhop-native/lib/SockhopPing.js';
import { SockhopRequest, SockhopResponsePacket } from 'sockhop-native/lib/SockhopRequest.js';

// Three spellings, one class.
const clients: (typeof Sockhop.SockhopClient)[] = [Sockhop.client, Sockhop.Client, SockhopClient];
const servers: (typeof Sockhop.SockhopServer)[] = [Sockhop.server, Sockhop.Server, SockhopServer];
const sessions: (typeof Sockhop.SockhopSession)[] = [
  Sockhop.session,
  Sockhop.Session,
  SockhopSession,
];
const errors: (typeof Sockhop.SockhopError)[] = [Sockhop.error, Sockhop.Error, SockhopError];
const buffers: (typeof Sockhop.ObjectBuffer)[] = [ObjectBuffer, ObjectBufferJs];
[clients, servers, sessions, errors, buffers];

// The names can be used as types as well.
let client: Sockhop.client = new Sockhop.client({ port: 6000 });
client = new Sockhop.Client();
class Mine extends Sockhop.session {}
const server: Sockhop.server<Mine> = new Sockhop.server({ session_type: Mine });
const error: Sockhop.error = new Sockhop.error('broken', 'ERR_MINE');
const socket: Sockhop.SockhopSocket | undefined = server.sockets[0];
const packets = [new SockhopPing(), new SockhopPong(), new SockhopRequest()];
new SockhopResponsePacket().toJSON().last;
new TimedMap<string, number>({ timeout: 5 }).set('a', 1, (reason) => reason === 'deleted');
[client, error, socket, packets];

// @ts-expect-error no such export
Sockhop.clients;
// @ts-expect-error no such reason
new TimedMap().set('a', 1, (reason) => reason === 'expired');
