/**
 * Callbacks and response streams for peers that only send messages, as their users write them: an
 * id in each message, and a map of the functions that wait for the answer.
 */

/** The client's side. `incoming(message, receive)` separates answers from other messages. */
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
