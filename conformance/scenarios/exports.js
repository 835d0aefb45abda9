'use strict';

const { EventEmitter } = require('node:events');
const path = require('node:path');

module.exports = [
  {
    name: 'exports: the four names of 1.x and their classes',
    rows: ['exports'],
    role: 'static',
    async run(ctx) {
      for (const name of ['server', 'client', 'session', 'error']) {
        const exported = ctx.sockhop[name];
        ctx.log('exports', name, typeof exported, exported.name);
        ctx.log('exports', name, 'has the prototype', exported.prototype.constructor === exported);
      }
      for (const name of ['server', 'client', 'session']) {
        ctx.log('exports', name, ctx.sockhop[name].prototype instanceof EventEmitter);
      }
      ctx.log('exports', ctx.sockhop.error.prototype instanceof Error);
    },
  },
  {
    name: 'exports: deep paths, with and without .js, are the same classes',
    rows: ['exports'],
    role: 'static',
    async run(ctx) {
      const deep = (name) => require(path.join(ctx.directory, 'lib', name));
      const single = {
        SockhopClient: 'client',
        SockhopServer: 'server',
        SockhopSession: 'session',
      };
      for (const [file, name] of Object.entries({ ...single, SockhopError: 'error' })) {
        ctx.log(
          'deep',
          file,
          deep(file) === ctx.sockhop[name],
          deep(`${file}.js`) === ctx.sockhop[name],
        );
      }
      ctx.log('deep', deep('ObjectBuffer') === deep('ObjectBuffer.js'), deep('ObjectBuffer').name);
      ctx.log('deep', deep('TimedMap') === deep('TimedMap.js'), deep('TimedMap').name);
      for (const file of ['SockhopPing', 'SockhopRequest']) {
        ctx.log('deep', file, deep(file) === deep(`${file}.js`));
        for (const name of Object.keys(deep(file)).sort())
          ctx.log('deep', file, name, deep(file)[name].name);
      }
    },
  },
  {
    name: 'exports: instances are what the classes say',
    rows: ['exports'],
    role: 'static',
    async run(ctx) {
      const { client, server, session, error } = ctx.sockhop;
      const made = {
        client: new client(),
        server: new server(),
        session: new session(),
        error: new error('m', 'C'),
      };
      for (const [name, object] of Object.entries(made)) {
        ctx.log('instances', name, object.constructor.name, object instanceof ctx.sockhop[name]);
        ctx.log('instances', name, object instanceof EventEmitter, object instanceof Error);
      }
      ctx.log('instances', made.error, made.error.name, String(made.error));
      class Own extends client {}
      ctx.log('instances', new Own().constructor.name, new Own() instanceof client);
    },
  },
  {
    name: 'defaults: what a client and a server are without options',
    rows: ['defaults'],
    role: 'static',
    async run(ctx) {
      const client = new ctx.sockhop.client();
      ctx.log(
        'client',
        client.address,
        client.port,
        client.path,
        client.connected,
        client.auto_reconnect,
      );
      ctx.log(
        'client',
        client._connect_timeout,
        client.socket,
        client.interval_timer,
        client.pings,
      );
      const server = new ctx.sockhop.server();
      ctx.log('server', server.address, server.port, server.path, server.sockets, server.sessions);
      ctx.log('server', server.interval_timer, server.pings instanceof Map, server.pings.size);
      ctx.log('server', server._response_stream_maps.size, server.server !== undefined);
    },
  },
  {
    name: 'defaults: options given are kept',
    rows: ['defaults'],
    role: 'static',
    async run(ctx) {
      const options = { address: '127.0.0.2', port: 50123, path: '/nowhere', peer_type: 'json' };
      const more = { auto_reconnect_interval: 77, connect_timeout: 88, response_timeout: 99 };
      const client = new ctx.sockhop.client({ ...options, ...more });
      ctx.log('client', client.address, client.port, client.path, client._connect_timeout);
      const server = new ctx.sockhop.server({ ...options, ...more });
      ctx.log('server', server.address, server.port, server.path);
    },
  },
  {
    name: 'TimedMap: values, overwriting, deleting, timing out, stopping',
    rows: ['requests'],
    role: 'static',
    async run(ctx) {
      const TimedMap = ctx.lib('TimedMap.js');
      const map = new TimedMap({ timeout: 20 });
      ctx.log('map', map.get('absent'), map.delete('absent'), map._map.size);
      map.set('a', 1, (reason) => ctx.log('map', 'a', reason));
      ctx.log('map', map.get('a'), map._map.size);
      map.set('a', 2, (reason) => ctx.log('map', 'a again', reason));
      ctx.log('map', map.get('a'), map.delete('a'), map.get('a'));
      const timedOut = new Promise((resolve) => map.set('b', 3, (reason) => resolve(reason)));
      ctx.log('map', await timedOut);
      await ctx.until(() => map.get('b') === undefined);
      map.set('c', 4, (reason) => ctx.log('map', 'c', reason), 60_000);
      map.set('d', 5, (reason) => ctx.log('map', 'd', reason), 60_000);
      map.set('e', 6);
      map.stop();
      ctx.log('map', map._map.size);
    },
  },
  {
    name: 'SockhopPing and SockhopPong: fields, unanswered, concluding',
    rows: ['ping'],
    role: 'static',
    async run(ctx) {
      const { SockhopPing, SockhopPong } = ctx.lib('SockhopPing.js');
      const ping = new SockhopPing();
      ctx.log(
        'ping',
        ping.constructor.name,
        Object.keys(ping),
        JSON.parse(JSON.stringify(ping)),
        ping.unanswered(),
      );
      ping.conclude_with_pong(new SockhopPong({ _id: 'someone else' }));
      ctx.log('ping', ping.unanswered());
      const pong = new SockhopPong(ping);
      ctx.log(
        'pong',
        pong.constructor.name,
        Object.keys(pong),
        JSON.parse(JSON.stringify(pong)),
        pong.finished,
      );
      ctx.log(
        'pong',
        pong._id === ping._id,
        pong._created === ping._created,
        pong._returned instanceof Date,
      );
      ping.conclude_with_pong(pong);
      ctx.log(
        'ping',
        ping.unanswered(),
        ping._returned === pong._returned,
        ping._finished instanceof Date,
      );
      const given = { _id: 'i', _created: 'c', _returned: 'r', _finished: 'f' };
      ctx.log('ping', { ...new SockhopPing(given) }, new SockhopPing(given).unanswered());
      ctx.log('pong', { ...new SockhopPong(given) }, { ...new SockhopPong({ _returned: 'r' }) });
    },
  },
  {
    name: 'SockhopRequest and SockhopResponsePacket: construction and JSON',
    rows: ['requests'],
    role: 'static',
    async run(ctx) {
      const { SockhopRequest, SockhopResponsePacket } = ctx.lib('SockhopRequest.js');
      class Widget {}
      const json = (value) => JSON.parse(JSON.stringify(value));
      ctx.log('request', json(new SockhopRequest()), json(SockhopRequest.from_data('Q')));
      ctx.log(
        'request',
        json(SockhopRequest.from_data(new Widget())),
        Object.keys(new SockhopRequest()),
      );
      ctx.log('request', json(SockhopRequest.parse({ uuid: 'u', data: 1, type: 'T' })));
      ctx.log(
        'request',
        SockhopRequest.parse({ uuid: 'u', data: 1 }).type,
        new SockhopRequest().uuid.length,
      );
      ctx.log(
        'packet',
        json(new SockhopResponsePacket({})),
        json(SockhopResponsePacket.for_data([1], 'u')),
      );
      ctx.log('packet', json(SockhopResponsePacket.for_data(new Widget(), 'u', true)));
      const parsed = SockhopResponsePacket.parse({ uuid: 'u', data: 'd', type: 'T', last: true });
      ctx.log(
        'packet',
        parsed.uuid,
        parsed.data,
        parsed.type,
        parsed.last,
        Object.keys(json(parsed)),
      );
    },
  },
];
