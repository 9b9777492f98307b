const INTERVAL_MS = 10_000;

interface Window {
  begun: number;
  lines: number;
  unsaid: number;
}

/** Of many lines about the same, few are written, so that a caller cannot fill the disk; how many more there were is said. */
export class LineLimit {
  readonly #most: number;
  readonly #windows = new Map<string, Window>();

  /** @param most - lines about the same within ten seconds */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Whether a line may be written.
   * @param what - it is about; takes few values
   * @returns what the line has to say beside: how many were left out before it; undefined: it is left out
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
