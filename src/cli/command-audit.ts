import { userInfo } from 'node:os';
import type { AuditEntry } from '../audit/audit-entry.ts';
import { statusName } from '../api/status.ts';
import { asFailure } from '../failure.ts';
import { openAudit } from '../service/audit-start.ts';
import type { StoreAccess } from './store-access.ts';

type Facts = NonNullable<AuditEntry['facts']>;

/**
 * Runs work of a command on the store, and records it in the audit: that it begins, before it does anything, and how it
 * ended. Commands need the keys and the database instead of a client; the record names the account of the system.
 * @param command - e.g. `export`
 * @param ended - facts about the result
 * @throws Failure AUDIT_UNAVAILABLE, and nothing is done; what the work throws
 */
export async function recorded<T>(
  { configuration, store, keys }: StoreAccess,
  command: string,
  facts: Facts,
  work: () => Promise<T>,
  ended: (result: T) => Facts = () => ({}),
): Promise<T> {
  const trail = await openAudit(configuration, store, keys, (level, _, message) => {
    if (level !== 'info') process.stderr.write(`${message}\n`);
  });
  const begun = new Date().toISOString();
  const record = (outcome: string, more: Facts, reason?: string) =>
    trail.record({
      kind: 'administration',
      begun,
      ended: new Date().toISOString(),
      method: `ridgewatch ${command}`,
      outcome,
      ...(reason !== undefined && { reason }),
      facts: { user: accountName(), ...facts, ...more },
    });
  try {
    await record('OK', { stage: 'begin' });
    let result: T;
    try {
      result = await work();
    } catch (thrown) {
      const failure = asFailure(thrown);
      await record(statusName(failure), { stage: 'end' }, failure.reason).catch(() => undefined);
      throw thrown;
    }
    await record('OK', { stage: 'end', ...ended(result) });
    return result;
  } finally {
    await trail.close();
  }
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
