'use strict';

const SockhopClient = require('../../SockhopClient.js');
const { formatEndpoint } = require('./endpoint.js');

/** @returns {object} the TLS options of the arguments; empty for none */
function tlsOptions({ ca, cert, key, servername, insecure }) {
  const options = { ca, cert, key, servername };
  for (const name of Object.keys(options)) if (options[name] === undefined) delete options[name];
  if (insecure) options.rejectUnauthorized = false;
  return options;
}

/**
 * @param {object} values of the arguments
 * @param {{path: string}|{address: string, port: number}} endpoint
 * @param {object} [more] options of the client
 * @returns {SockhopClient} not connected
 */
function makeClient(values, endpoint, more = {}) {
  return new SockhopClient({
    ...endpoint,
    ssl: values.tls,
    ssl_options: tlsOptions(values),
    peer_type: values.peer,
    connect_timeout: values['connect-timeout'],
    ...more,
  });
}

/** Connects a client. @throws {Error} whose message names the endpoint */
async function connect(client, endpoint) {
  try {
    await client.connect();
  } catch (err) {
    const reason = [err.message, err.cause?.message].filter(Boolean).join('. ');
    throw new Error(`no connection to ${formatEndpoint(endpoint)}: ${reason}`, { cause: err });
  }
}

/** @returns {Promise<string>} fulfilled with the name of the signal that ends the command */
function interrupted() {
  return new Promise((resolve) => {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    const onSignal = (name) => {
      for (const each of names) process.removeListener(each, onSignal);
      resolve(name);
    };
    for (const each of names) process.on(each, onSignal);
  });
}

module.exports = { connect, interrupted, makeClient };
