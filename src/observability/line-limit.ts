const INTERVAL_MS = 10_000;

interface Window {
  begun: number;
  lines: number;
  unsaid: number;
}

/** Limits log lines on the same subject: a caller cannot fill the disk. The number of omitted lines is logged. */
export class LineLimit {
  readonly #most: number;
  readonly #windows = new Map<string, Window>();

  /** @param most - lines with the same subject within ten seconds */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Whether a line may be written.
   * @param what - the line's subject; takes few values
   * @returns fields to add to the line: the number omitted before it; undefined: omit this line
   */
  admit(what: string): { readonly unsaid?: number } | undefined {
    const now = performance.now();
    const window = this.#windows.get(what) ?? { begun: now, lines: 0, unsaid: 0 };
    this.#windows.set(what, window);
    if (now - window.begun > INTERVAL_MS) [window.begun, window.lines] = [now, 0];
    if (window.lines >= this.#most) {
      window.unsaid++;
      return undefined;
    }
    window.lines++;
    const { unsaid } = window;
    window.unsaid = 0;
    return unsaid > 0 ? { unsaid } : {};
  }
}
