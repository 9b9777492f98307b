import { FileChanges } from '../files/file-changes.ts';
import type { Logger } from '../observability/logging.ts';
import type { ServerCertificates } from '../security/server-certificates.ts';

/** Two looks at the files and one at the connections must fit into a second. In milliseconds. */
const INTERVAL_MS = 250;
const DAY_MS = 86_400_000;
/** A warning precedes the end by this number of days, or by a quarter of the lifetime if that is less. */
const WARNING_DAYS = { server_certificate: 14, client_ca: 30, client_crl: 3 } as const;
const SENTENCES = {
  server_certificate: {
    soon: 'the certificate of the service expires soon: then no client connects',
    over: 'the certificate of the service has expired: no client connects',
  },
  client_ca: {
    soon: 'an authority of client certificates expires soon: then no client of it connects',
    over: 'an authority of client certificates has expired: no client of it connects',
  },
  client_crl: {
    soon: 'a list of revoked client certificates expires soon: then no client of its authority connects',
    over: 'a list of revoked client certificates has expired: no client of its authority connects',
  },
} as const;

export interface WatchParts {
  readonly log: Logger;
  readonly count: (outcome: 'replaced' | 'failed') => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * Keeps the certificates up with their files, ends connections whose certificates are no longer accepted, and warns of
 * certificates and lists that end soon.
 */
export class CertificateWatch {
  readonly #certificates: ServerCertificates;
  readonly #parts: WatchParts;
  readonly #changes: FileChanges;
  #timer: NodeJS.Timeout | undefined;
  /** When each end was last warned of. */
  readonly #warned = new Map<string, number>();

  constructor(certificates: ServerCertificates, parts: WatchParts) {
    this.#certificates = certificates;
    this.#parts = parts;
    const { cert, key, clientCa, clientCrl } = certificates.files;
    this.#changes = new FileChanges([cert, key, clientCa, clientCrl].filter((file) => file !== undefined));
  }

  start(): void {
    this.#warn();
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reads the files again, whether they have changed or not. Logs and counts what comes of it. */
  async reload(): Promise<void> {
    const { log, count } = this.#parts;
    const { isReplaced, failures } = await this.#certificates.reload();
    for (const failure of failures) {
      count('failed');
      log.error(
        { err: failure, reason: failure.reason },
        'a file of certificates cannot be used; the old one stays in force',
      );
    }
    if (!isReplaced) return;
    count('replaced');
    this.#warned.clear();
    log.info(
      { valid_until: this.#certificates.lifetimes.map(({ what, until }) => ({ what, until: until.toISOString() })) },
      'other certificates are in force',
    );
    this.#warn();
  }

  #look(): void {
    if (this.#changes.poll()) void this.reload();
    this.#certificates.examine(this.#now);
    this.#warn();
  }

  /** Once a day for each end that is near or has passed. */
  #warn(): void {
    const now = this.#now;
    for (const { what, from, until } of this.#certificates.lifetimes) {
      const left = until.getTime() - now;
      if (left > Math.min(WARNING_DAYS[what] * DAY_MS, (until.getTime() - from.getTime()) / 4)) continue;
      const [key, isOver] = [`${what} ${until.getTime()} ${left <= 0}`, left <= 0];
      if (now - (this.#warned.get(key) ?? -Infinity) < DAY_MS) continue;
      this.#warned.set(key, now);
      const line = { what, until: until.toISOString(), days_left: Math.round((left / DAY_MS) * 10) / 10 };
      if (isOver) this.#parts.log.error(line, SENTENCES[what].over);
      else this.#parts.log.warn(line, SENTENCES[what].soon);
    }
  }

  get #now(): number {
    return this.#parts.now?.() ?? Date.now();
  }
}
