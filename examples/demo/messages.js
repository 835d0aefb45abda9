'use strict';

// What the processes of the demonstration say to each other. The class of an object travels with
// it: the receiving side finds the name in `meta.type`.

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
  // What the server hands to everyone it has let in, without being asked.
  GIFTS: [new Widget('gear', 12), 'grüße ✓', ['one', 2, null, { three: 3 }]],
  NOTICE: 'back in a moment',
};
