/*
 * Buffers for peers that only carry JSON, in base64, as their users send them. A Buffer is the
 * property `bytes` of an object.
 */

const toText = (data) =>
  Buffer.isBuffer(data.bytes) ? { ...data, bytes: data.bytes.toString('base64') } : data;

const fromText = (data) =>
  typeof data.bytes === 'string' ? { ...data, bytes: Buffer.from(data.bytes, 'base64') } : data;

/** @returns {object} the same peer, whose objects may have a Buffer */
function withBase64(peer) {
  return {
    ...peer,

    async serve({ receive, ...setting }) {
      const server = await peer.serve({
        ...setting,
        receive: (data, reply) => receive(fromText(data), (answer) => reply(toText(answer))),
      });
      return { ...server, sendAll: (data) => server.sendAll(toText(data)) };
    },

    async connect({ receive, ...setting }) {
      const client = await peer.connect({
        ...setting,
        receive: receive && ((data) => receive(fromText(data))),
      });
      return {
        ...client,
        push: (data) => client.push(toText(data)),
        send: (data) => client.send(toText(data)),
        call: (data, answer) => client.call(toText(data), (result) => answer(fromText(result))),
      };
    },
  };
}

module.exports = { withBase64 };
