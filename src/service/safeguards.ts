import { CallRates } from '../access/call-rates.ts';
import { VerifyBudgets } from '../access/budgets.ts';
import type { ClientDirectory } from '../access/client-directory.ts';
import { ProbeWindow, type ProbeAlarm } from '../access/probe-window.ts';
import { SpentBudgets, type BudgetAlarm } from '../access/spent-budgets.ts';
import type { Safeguards } from '../api/safeguards.ts';
import type { AuditSink } from '../audit/audit-entry.ts';
import type { AuditTrail } from '../audit/audit-trail.ts';
import type { RecordReader } from '../audit/safeguard-records.ts';
import type { Logger } from '../observability/logging.ts';
import type { ClientStore } from '../store/client-store.ts';
import { SafeguardHistory } from './safeguard-history.ts';

/** Who disables clients that feel their way to a template. */
const SERVICE = 'service';
const REASON = 'many probes that resemble each other';

export interface SafeguardParts {
  readonly clients: Pick<ClientStore, 'disableClient'>;
  readonly directory: ClientDirectory;
  readonly audit: AuditSink & Pick<AuditTrail, 'writer'>;
  readonly records: RecordReader;
  readonly log: Logger;
  /** Counts an alarm: `alarm` or `disabled`. */
  readonly count: (outcome: string) => void;
}

export interface ServiceSafeguards extends Omit<Safeguards, 'spectra'> {
  readonly rates: CallRates;
  readonly history: SafeguardHistory;
}

/** Budgets, call rates and the window of recent probes of this process. */
export function makeSafeguards(parts: SafeguardParts): ServiceSafeguards {
  const { log, count, records, audit } = parts;
  const window = new ProbeWindow({
    alarm: (alarm) => {
      count('PROBES_ALIKE_ALARM');
      log.warn(factsOf(alarm), 'many probes of a client resemble each other: it may be rebuilding a template');
      tell(audit, alarm, 'PROBES_ALIKE_ALARM', factsOfProbes(alarm));
    },
    disable: (alarm) => void disable(parts, alarm),
  });
  const spent = new SpentBudgets((alarm) => {
    count('VERIFY_BUDGET_ALARM');
    // The audit names the subject; the log must not.
    const { clientId: client, agency, scope, refusals, weakAnswers } = alarm;
    const message = 'the budget of comparisons with one subject is spent again and again: a template may be rebuilt';
    log.warn({ client, agency, scope, refusals, weak_answers: weakAnswers }, message);
    tell(audit, alarm, 'VERIFY_BUDGET_ALARM', { scope, refusals, weak_answers: weakAnswers });
  });
  const budgets = new VerifyBudgets(undefined, undefined, spent);
  const onTrouble = (error: unknown) => {
    if (error === undefined) log.info('what clients have spent on comparisons is read from the audit again');
    else log.warn({ err: error }, 'what clients have spent on comparisons cannot be read from the audit');
  };
  const history = new SafeguardHistory({ records, ownWriter: audit.writer, budgets, spent, window, onTrouble });
  return { budgets, rates: new CallRates(), window, history };
}

async function disable({ clients, directory, audit, log, count }: SafeguardParts, alarm: ProbeAlarm): Promise<void> {
  try {
    await clients.disableClient(alarm.clientId, REASON, { by: SERVICE, at: new Date() });
    await directory.refresh();
    count('CLIENT_DISABLED_BY_SERVICE');
    log.error(factsOf(alarm), 'a client was disabled: many of its probes resemble each other');
    tell(audit, alarm, 'CLIENT_DISABLED_BY_SERVICE', factsOfProbes(alarm));
  } catch (error) {
    // Its calls are still slowed down, and the next one tries again.
    log.error({ ...factsOf(alarm), err: error }, 'a client could not be disabled');
  }
}

function factsOf({ clientId, agency, scope, calls }: ProbeAlarm) {
  return { client: clientId, agency, scope, calls };
}

function factsOfProbes({ scope, calls }: ProbeAlarm) {
  return { scope, calls };
}

function tell(
  audit: AuditSink,
  { clientId, agency, subjectId }: Pick<ProbeAlarm, 'clientId' | 'agency'> & Partial<Pick<BudgetAlarm, 'subjectId'>>,
  reason: string,
  facts: Readonly<Record<string, string | number>>,
): void {
  const now = new Date().toISOString();
  const record = {
    begun: now,
    ended: now,
    client_id: clientId,
    agency,
    ...(subjectId !== undefined && { subject_id: subjectId }),
    outcome: 'OK',
    reason,
    facts,
  };
  void audit.record({ kind: 'administration', ...record }).catch(() => undefined);
}
