'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const HISTORY_SIZE = 1000;

/** @returns {?string} the file of the history; null for none */
function historyFile() {
  const { SOCKHOP_HISTORY } = process.env;
  if (SOCKHOP_HISTORY === '') return null;
  return SOCKHOP_HISTORY ?? path.join(os.homedir(), '.sockhop_history');
}

/** @returns {string[]} the lines of earlier prompts, the newest first */
function readHistory(file) {
  if (file === null) return [];
  try {
    return fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .reverse()
      .slice(0, HISTORY_SIZE);
  } catch {
    // There is none yet, or it may not be read: the prompt works without it.
    return [];
  }
}

/** A prompt on the terminal, or the lines of another standard input. */
class Prompt {
  #lines;
  #isTerminal = Boolean(process.stdin.isTTY && process.stdout.isTTY);

  /**
   * Fulfilled when the user ends the prompt, by Ctrl-C or Ctrl-D, also while a command waits.
   *
   * @type {Promise<void>}
   */
  closed;

  /**
   * @param {import('./text.js').Printer} printer prints above the prompt
   * @param {string[]} commands to complete
   */
  constructor(printer, commands) {
    const file = this.#isTerminal ? historyFile() : null;
    this.#lines = readline.createInterface({
      input: process.stdin,
      output: this.#isTerminal ? process.stdout : undefined,
      prompt: '> ',
      history: readHistory(file),
      historySize: HISTORY_SIZE,
      removeHistoryDuplicates: true,
      completer: (line) => [commands.filter((each) => each.startsWith(line)), line],
    });
    if (!this.#isTerminal) {
      // The lines before the end of the input are still to be sent.
      this.closed = new Promise(() => {});
      return;
    }
    if (file !== null) this.#lines.on('history', (history) => saveHistory(file, history));
    printer.before = () => {
      readline.cursorTo(process.stdout, 0);
      readline.clearLine(process.stdout, 0);
    };
    printer.after = () => this.#lines.prompt(true);
    this.closed = new Promise((resolve) => {
      this.#lines.on('close', () => {
        printer.before = () => {};
        printer.after = () => {};
        resolve();
      });
    });
  }

  /**
   * Calls a function with each line, one after another, until it answers false or there are no more
   * lines.
   *
   * @param {function(string): Promise<boolean>} run
   * @returns {Promise<void>}
   */
  async forEachLine(run) {
    if (this.#isTerminal) this.#lines.prompt();
    for await (const line of this.#lines) {
      if (!(await run(line))) return;
      if (this.#isTerminal) this.#lines.prompt();
    }
  }

  close() {
    this.#lines.close();
    if (this.#isTerminal) process.stdout.write('\n');
    process.stdin.unref?.();
  }
}

/** Typed text may be secret: no other user may read the file. */
function saveHistory(file, history) {
  try {
    fs.writeFileSync(file, `${[...history].reverse().join('\n')}\n`, { mode: 0o600 });
  } catch {
    // The prompt works without it.
  }
}

module.exports = { Prompt };
