/** Reports what was changed in the database outside the service: rows of the change sequence, and clients. */
import { CLIENT_ID, type ClientDirectory, type DamagedClient } from '../access/client-directory.ts';
import type { AuditSink } from '../audit/audit-entry.ts';
import { DamagedChanges } from '../gallery/damaged-changes.ts';
import { LineLimit } from '../observability/line-limit.ts';
import type { Logger } from '../observability/logging.ts';

/** Log lines about rows of the change sequence, for one reason in ten seconds: an attacker may add millions. */
const MAX_LINES = 10;

export interface DamageReport {
  readonly log: Logger;
  /** Counts what was found, by reason. */
  readonly count: (reason: string) => void;
}

/** Rows of the change sequence. The log names neither subject nor number. */
export function damagedChanges({ log, count }: DamageReport): DamagedChanges {
  const limit = new LineLimit(MAX_LINES);
  return new DamagedChanges((reason) => {
    count(reason);
    const more = limit.admit(reason);
    if (more === undefined) return;
    log.error(
      { reason, ...more },
      'a row of the change sequence was added or changed outside the service, and is not followed: ridgewatch store check says more',
    );
  });
}

/**
 * Logs and records the clients that are not let in because they are not what was registered: those of now, and later
 * ones when they are read. The log has their number; the audit names the client where it is one.
 */
export function reportDamagedClients(directory: ClientDirectory, { log, count }: DamageReport, audit: AuditSink): void {
  let known = new Set<string>();
  const nameOf = ({ clientId, reason }: DamagedClient) => `${reason} ${clientId}`;
  const report = () => {
    const fresh = directory.damaged.filter((one) => !known.has(nameOf(one)));
    known = new Set(directory.damaged.map(nameOf));
    for (const [reason, found] of Map.groupBy(fresh, (one) => one.reason)) {
      count(reason);
      log.error(
        { reason, client_count: found.length },
        'clients were added, changed or put back outside the service, and are not let in: ridgewatch client list says which',
      );
      record(audit, reason, found);
    }
  };
  report();
  directory.onChange(report);
}

function record(audit: AuditSink, reason: string, found: readonly DamagedClient[]): void {
  const now = new Date().toISOString();
  const [only] = found.length === 1 ? found : [];
  void audit
    .record({
      kind: 'administration',
      begun: now,
      ended: now,
      ...(only !== undefined && CLIENT_ID.test(only.clientId) && { client_id: only.clientId }),
      outcome: 'FAILED_PRECONDITION',
      reason,
      facts: { clients: found.length },
    })
    .catch(() => undefined);
}
