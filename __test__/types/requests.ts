// Requests, pings, errors and the object buffer. Compiled, never run.

import {
  ObjectBuffer,
  SockhopClient,
  SockhopError,
  type SockhopErrorCode,
  SockhopPing,
  SockhopPong,
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseReadableStream,
  SockhopResponseWriteableStream,
} from 'sockhop-native';

export async function asking(client: SockhopClient) {
  const any = await client.request('Q');
  (await any.next()).data.whatever;

  const stream = await client.request<number>('Q', {
    timeout: 100,
    signal: new AbortController().signal,
  });
  for await (const { data, type } of stream) {
    data.toFixed();
    type.toUpperCase();
    // @ts-expect-error a number is no string
    data.toUpperCase();
  }
  const all: { data: number; type: string }[] = await stream.all();
  const ended: boolean = stream.ended;
  stream.on('data', (data, type) => [data.toFixed(), type.toUpperCase()]);
  stream.once('end', (err) => err?.message);
  stream.end(new Error('enough'));
  stream.end();
  // @ts-expect-error the error is there only if there was one
  stream.once('end', (err) => err.message);
  // @ts-expect-error the data is a number
  stream.on('data', (_data: string) => {});
  // @ts-expect-error the stream emits this event, not the program
  stream.ended = true;
  // @ts-expect-error a time is a number
  await client.request('Q', { timeout: '5s' });
  return [all, ended];
}

export async function answering(res: SockhopResponseWriteableStream<string>) {
  await res.write('a');
  await res.send('b');
  await res.end();
  // @ts-expect-error the data is text
  await res.write(5);
}

const request = SockhopRequest.from_data({ a: 1 });
request.data.a.toFixed();
const parsed = SockhopRequest.parse(JSON.parse('null'));
parsed?.type;
// @ts-expect-error the message of a peer may not be a request
parsed.type;
// @ts-expect-error null has no constructor
SockhopRequest.from_data(null);
SockhopResponsePacket.for_data('text', request.uuid, true).data.toUpperCase();
SockhopResponseReadableStream.from_request(request).receive_packet(
  new SockhopResponsePacket({ data: 1 }),
);
SockhopResponseWriteableStream.from_request(request, new SockhopClient());

const ping = new SockhopPing();
const answered: boolean = !ping.unanswered();
ping.conclude_with_pong(new SockhopPong(ping));
new SockhopPong({ _id: 'x' }).finished;
// @ts-expect-error a ping is no pong
ping.finished;

const error = new SockhopError('broken', 'ERR_MINE', { cause: new Error('why') });
const asError: Error = error;
const code: string | undefined = error.code;
const known: SockhopErrorCode = 'ERR_RESPONSE_TIMEOUT';
// @ts-expect-error no such code
const unknown: SockhopErrorCode = 'ERR_MINE';
[answered, asError, code, known, unknown];

const buffer = new ObjectBuffer({ terminator: ['\n', '\0'], allow_non_objects: true });
buffer.on('error', (err) => err.code);
for (const object of buffer.buf2obj(Buffer.from('{}\n'))) object.whatever;
for (const found of buffer.buf2obj(Buffer.from('{}\n'), { return_buffers: true })) {
  found.buffer.length;
  found.value.whatever;
}
buffer.obj2buf({})?.length;
// @ts-expect-error a value that is not an object has no buffer
buffer.obj2buf({}).length;
// @ts-expect-error bytes, not text
buffer.buf2obj('{}\n');
