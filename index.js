'use strict';

// One assignment a name: that is how `import { client } from 'sockhop-native'` finds them.

const ClusterSession = require('./lib/ClusterSession.js');
const SockhopClient = require('./lib/SockhopClient.js');
const SockhopError = require('./lib/SockhopError.js');
const SockhopServer = require('./lib/SockhopServer.js');
const SockhopSession = require('./lib/SockhopSession.js');
const { late } = require('./lib/internal/late.js');

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

// Classes of which the package itself creates objects. Each one is loaded when the package needs
// it, or when the program reads it here.
exports.SockhopSocket = undefined;
exports.SockhopPing = undefined;
exports.SockhopPong = undefined;
exports.SockhopRequest = undefined;
exports.SockhopResponsePacket = undefined;
exports.SockhopResponseReadableStream = undefined;
exports.SockhopResponseWriteableStream = undefined;
exports.ObjectBuffer = undefined;

const loadSocket = late(() => require('./lib/SockhopSocket.js'));
const loadPings = late(() => require('./lib/SockhopPing.js'));
const loadRequests = late(() => require('./lib/SockhopRequest.js'));
const loadObjectBuffer = late(() => ({ ObjectBuffer: require('./lib/ObjectBuffer.js') }));

defineLate('SockhopSocket', loadSocket);
defineLate('SockhopPing', loadPings);
defineLate('SockhopPong', loadPings);
defineLate('SockhopRequest', loadRequests);
defineLate('SockhopResponsePacket', loadRequests);
defineLate('SockhopResponseReadableStream', loadRequests);
defineLate('SockhopResponseWriteableStream', loadRequests);
defineLate('ObjectBuffer', loadObjectBuffer);

/** Makes an export an ordinary property when it is read or assigned. */
function defineLate(name, load) {
  const propertyOf = (value) => ({ value, configurable: true, enumerable: true, writable: true });
  Object.defineProperty(exports, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = load()[name];
      // Of frozen exports it stays an accessor.
      Reflect.defineProperty(exports, name, propertyOf(value));
      return value;
    },
    /** The object may inherit from the exports. */
    set(value) {
      Object.defineProperty(this, name, propertyOf(value));
    },
  });
}
