// A program as users of sockhop 1.8.4 have it:
//
//   node program.js server          prints its port, serves one client, and ends
//   node program.js client <port>   prints the answer, and ends

const { client, server, session } = require('sockhop');

class Widget {
  constructor(id) {
    this.id = id;
  }
}

class Greeter extends session {
  async start() {
    this.greeted = 0;
  }

  greet(name) {
    this.greeted += 1;
    return `hello ${name}, you are number ${this.greeted}`;
  }
}

async function serve() {
  const s = new server({ port: 0, session_type: Greeter });
  s.on('receive', (object, meta) => {
    meta.callback({ type: meta.type, greeting: meta.session.greet(object.id) });
  });
  s.on('disconnect', () => s.close());
  const listener = await s.listen();
  console.log(listener.address().port);
}

async function ask(port) {
  const c = new client({ port });
  await c.connect();
  const answer = await new Promise((resolve) => c.send(new Widget(7), resolve));
  await c.disconnect();
  console.log(JSON.stringify(answer));
}

const [role, port] = process.argv.slice(2);
(role === 'server' ? serve() : ask(Number(port))).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
