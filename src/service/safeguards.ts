import { CallRates } from '../access/call-rates.ts';
import { VerifyBudgets } from '../access/budgets.ts';
import type { ClientDirectory } from '../access/client-directory.ts';
import { ProbeWindow, type ProbeAlarm } from '../access/probe-window.ts';
import type { Safeguards } from '../api/safeguards.ts';
import type { AuditSink } from '../audit/audit-entry.ts';
import type { Logger } from '../observability/logging.ts';
import type { ClientStore } from '../store/client-store.ts';

/** Who disables clients that feel their way to a template. */
const SERVICE = 'service';
const REASON = 'many probes that resemble each other';

export interface SafeguardParts {
  readonly clients: Pick<ClientStore, 'disableClient'>;
  readonly directory: ClientDirectory;
  readonly audit: AuditSink;
  readonly log: Logger;
  /** Counts an alarm: `alarm` or `disabled`. */
  readonly count: (outcome: string) => void;
}

/** Budgets, call rates and the window of recent probes of this process. */
export function makeSafeguards(parts: SafeguardParts): Omit<Safeguards, 'spectra'> & { readonly rates: CallRates } {
  const { log, count } = parts;
  const window = new ProbeWindow({
    alarm: (alarm) => {
      count('PROBES_ALIKE_ALARM');
      log.warn(factsOf(alarm), 'many probes of a client resemble each other: it may be rebuilding a template');
      tell(parts.audit, alarm, 'PROBES_ALIKE_ALARM');
    },
    disable: (alarm) => void disable(parts, alarm),
  });
  return { budgets: new VerifyBudgets(), rates: new CallRates(), window };
}

async function disable({ clients, directory, audit, log, count }: SafeguardParts, alarm: ProbeAlarm): Promise<void> {
  try {
    await clients.disableClient(alarm.clientId, REASON, { by: SERVICE, at: new Date() });
    await directory.refresh();
    count('CLIENT_DISABLED_BY_SERVICE');
    log.error(factsOf(alarm), 'a client was disabled: many of its probes resemble each other');
    tell(audit, alarm, 'CLIENT_DISABLED_BY_SERVICE');
  } catch (error) {
    // Its calls are still slowed down, and the next one tries again.
    log.error({ ...factsOf(alarm), err: error }, 'a client could not be disabled');
  }
}

function factsOf({ clientId, agency, scope, calls }: ProbeAlarm) {
  return { client: clientId, agency, scope, calls };
}

function tell(audit: AuditSink, { clientId, agency, scope, calls }: ProbeAlarm, reason: string): void {
  const now = new Date().toISOString();
  const record = {
    begun: now,
    ended: now,
    client_id: clientId,
    agency,
    outcome: 'OK',
    reason,
    facts: { scope, calls },
  };
  void audit.record({ kind: 'administration', ...record }).catch(() => undefined);
}
