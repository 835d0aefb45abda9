'use strict';

// The messages of the demonstration. An object is sent with the name of its class, which the receiver finds in
// `meta.type`.

class Credentials {
  constructor(name, password) {
    this.name = name;
    this.password = password;
  }
}

class Widget {
  constructor(label, teeth) {
    this.label = label;
    this.teeth = teeth;
  }
}

class Question {
  constructor(a, b) {
    this.a = a;
    this.b = b;
  }
}

module.exports = {
  Credentials,
  Question,
  Widget,
  // The server sends these objects to each client that it has admitted.
  SAMPLES: [new Widget('gear', 12), 'grüße ✓', ['one', 2, null, { three: 3 }]],
  NOTICE: 'the server restarts now',
};
