// Every way to get at the classes, from an ES module. Compiled, never run.

import Sockhop, { Client, client, ObjectBuffer, type SockhopClient, server } from 'sockhop-native';
import Deep from 'sockhop-native/lib/SockhopClient.js';
import { SockhopRequest } from 'sockhop-native/lib/SockhopRequest.js';

export const clients: (typeof SockhopClient)[] = [
  client,
  Client,
  Deep,
  Sockhop.client,
  Sockhop.Client,
];
new server({ port: 0 }).listen().then((listener) => listener.address());
new ObjectBuffer().obj2buf(SockhopRequest.from_data('Q'));
