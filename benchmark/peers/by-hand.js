/**
 * Callbacks and response streams for peers that only carry messages: the few lines their users
 * write, an id in the message and a map of who waits for it.
 */

/** The client's side. `incoming(message, receive)` sorts answers from messages. */
function callsAndRequests(send) {
  const waiting = new Map();
  let next = 1;
  const client = {
    call(data, answer) {
      const cid = next++;
      waiting.set(cid, answer);
      return send({ cid, data });
    },
    request(data) {
      const rid = next++;
      return new Promise((resolve) => {
        waiting.set(rid, { resolve, packets: [] });
        send({ rid, data });
      });
    },
  };
  const incoming = (message, receive) => {
    if (message.cid !== undefined) {
      const answer = waiting.get(message.cid);
      waiting.delete(message.cid);
      answer(message.data);
    } else if (message.rid !== undefined) {
      const stream = waiting.get(message.rid);
      stream.packets.push(message.data);
      if (message.last) {
        waiting.delete(message.rid);
        stream.resolve(stream.packets.length);
      }
    } else {
      receive?.(message);
    }
  };
  return { client, incoming };
}

/** The server's side. */
function answering({ receive, request }) {
  return (message, send) => {
    if (message.cid !== undefined) {
      receive(message.data, (data) => send({ cid: message.cid, data }));
    } else if (message.rid !== undefined) {
      const { rid } = message;
      request(message.data, {
        write: (data) => send({ rid, data }),
        end: (data) => send({ rid, data, last: true }),
      });
    } else {
      receive(message, send);
    }
  };
}

module.exports = { answering, callsAndRequests };
