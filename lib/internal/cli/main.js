'use strict';

/*
 * The command line, `npx sockhop-native`. Nothing of it is loaded by the package itself.
 */

const { VERSION } = require('../native/version.js');
const { UsageError, helpOf, parse } = require('./arguments.js');
const { EXIT } = require('./exit-codes.js');
const { printable } = require('./text.js');

const NAME = 'sockhop-native';

/** The modules of the commands, which are loaded when they are asked for. */
const COMMANDS = {
  listen: () => require('./commands/listen.js'),
  connect: () => require('./commands/connect.js'),
  send: () => require('./commands/send.js'),
  ping: () => require('./commands/ping.js'),
  bench: () => require('./commands/bench.js'),
  monitor: () => require('./commands/monitor.js'),
};

function overview() {
  const rows = Object.entries(COMMANDS).map(
    ([name, load]) => `  ${name.padEnd(10)}${load().summary}`,
  );
  return [
    `usage: ${NAME} <command> [options] [endpoint]`,
    '',
    'Talks to programs that use sockhop, over TCP and Unix sockets.',
    '',
    'commands:',
    ...rows,
    '',
    'An endpoint is a port, host:port or [IPv6 address]:port, or a path with a "/". The default is',
    '127.0.0.1:50000.',
    '',
    `"${NAME} <command> --help" explains a command. "${NAME} --version" prints the version.`,
    '',
    'exit codes:',
    '  0  success                            3  no answer in time',
    '  1  the connection failed, or ended    4  the answer is not the expected one',
    '  2  an argument is wrong',
    '',
  ].join('\n');
}

/** A reader such as `head` may close its end early: that ends this program quietly. */
function endAtClosedPipe(stream) {
  stream.on('error', (err) => {
    if (err.code === 'EPIPE') process.exit(EXIT.ok);
    throw err;
  });
}

/**
 * Runs a command.
 *
 * @param {string[]} argv
 * @returns {Promise<number>} the exit code
 */
async function main([name, ...argv]) {
  endAtClosedPipe(process.stdout);
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${VERSION}\n`);
    return EXIT.ok;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const topic = argv[0];
    const isCommand = Object.hasOwn(COMMANDS, topic ?? '');
    process.stdout.write(isCommand ? helpOf(NAME, topic, COMMANDS[topic]()) : overview());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    process.stderr.write(
      `${NAME}: there is no command "${printable(name)}". Try: ${NAME} --help\n`,
    );
    return EXIT.usage;
  }
  const command = COMMANDS[name]();
  try {
    const given = parse(command, argv);
    if (given.values.help) {
      process.stdout.write(helpOf(NAME, name, command));
      return EXIT.ok;
    }
    return await command.run(given);
  } catch (err) {
    const hint = err instanceof UsageError ? `\nTry: ${NAME} ${name} --help` : '';
    process.stderr.write(`${NAME} ${name}: ${printable(err.message)}${hint}\n`);
    return err instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}

module.exports = { main };
