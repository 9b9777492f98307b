import { statSync } from 'node:fs';

/**
 * Notices that files were replaced, rewritten, or reached by another link. Asks for their state, because notifications
 * miss files behind links and on some file systems.
 */
export class FileChanges {
  readonly #files: readonly string[];
  /** The state that was told of last. */
  #told: string;
  #last: string;

  constructor(files: readonly string[]) {
    this.#files = files;
    this.#told = this.#last = this.#state();
  }

  /**
   * Whether the files have changed since the last time that this was so, and have not changed since the call before:
   * files that belong together are written one after the other.
   */
  poll(): boolean {
    const state = this.#state();
    const isAtRest = state === this.#last;
    this.#last = state;
    if (!isAtRest || state === this.#told) return false;
    this.#told = state;
    return true;
  }

  /** One text for the present state of all files. */
  #state(): string {
    return this.#files.map(stateOf).join();
  }
}

function stateOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(':');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}
