import { closeSync, constants, openSync } from 'node:fs';

/**
 * The terminal that the process was started in, if any. A terminal that closes sends SIGHUP, as an operator does who
 * wants files to be read again; only a closed one can no longer be opened.
 */
export class ControllingTerminal {
  readonly #wasThere = canOpen();

  /** Whether there was one, and it has closed. */
  get isClosed(): boolean {
    return this.#wasThere && !canOpen();
  }
}

function canOpen(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}
