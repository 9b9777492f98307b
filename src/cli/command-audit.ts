import { userInfo } from 'node:os';
import { LOCAL } from '../access/local-client.ts';
import type { AuditEntry } from '../audit/audit-entry.ts';
import type { AuditTrail } from '../audit/audit-trail.ts';
import { statusName } from '../api/status.ts';
import { asFailure } from '../failure.ts';
import { openAudit } from '../service/audit-start.ts';
import type { StoreAccess } from './store-access.ts';

export type CommandFacts = NonNullable<AuditEntry['facts']>;

/** A command on the store, and what the audit is to know of it. */
export interface RecordedCommand {
  /** e.g. `export`. */
  readonly command: string;
  /** What it was asked to do: counts, digests, names of things; nothing about a person. */
  readonly facts: CommandFacts;
  /**
   * It mends the tables of the audit too: where damage keeps it from being recorded before, it is recorded afterwards.
   * Otherwise no command could mend them.
   */
  readonly mendsAudit?: boolean;
}

/** Reason of the store where damage keeps its tables from being read. */
const DAMAGED = 'STORE_DAMAGED';

/**
 * Runs work of a command on the store, and records it in the audit: that it begins, before it does anything, and how it
 * ended. Commands need the keys and the database instead of a client: the record names the client `local`, which stands
 * for the owner of both, and the account of the operating system.
 * @param ended - facts about the result
 * @throws Failure AUDIT_UNAVAILABLE, or what keeps the audit from being opened, and nothing is done; what the work throws
 */
export async function recorded<T>(
  access: StoreAccess,
  { command, facts, mendsAudit = false }: RecordedCommand,
  work: () => Promise<T>,
  ended: (result: T) => CommandFacts | Promise<CommandFacts> = () => ({}),
): Promise<T> {
  const begun = new Date().toISOString();
  let trail = await openTrail(access).catch((thrown: unknown) => {
    if (mendsAudit && asFailure(thrown).reason === DAMAGED) return undefined;
    throw thrown;
  });
  const isLate = trail === undefined;
  const record = async (outcome: string, more: CommandFacts, reason?: string) => {
    trail ??= await openTrail(access);
    await trail.record({
      kind: 'administration',
      begun,
      ended: new Date().toISOString(),
      client_id: LOCAL.clientId,
      client_kind: LOCAL.kind,
      agency: LOCAL.agency,
      method: `ridgewatch ${command}`,
      outcome,
      ...(reason !== undefined && { reason }),
      facts: { os_user: accountName(), ...facts, ...more, ...(isLate && { recorded_late: true }) },
    });
  };
  try {
    if (!isLate) await record('OK', { stage: 'begin' });
    let result: T;
    try {
      result = await work();
    } catch (thrown) {
      const failure = asFailure(thrown);
      await record(statusName(failure), { stage: 'end' }, failure.reason).catch(() => undefined);
      throw thrown;
    }
    await record('OK', { stage: 'end', ...(await ended(result)) });
    return result;
  } finally {
    await trail?.close();
  }
}

/** States in the audit that what was recorded after a backup is lost: it was not removed by stealth. */
export async function recordRestore(access: StoreAccess, facts: CommandFacts): Promise<void> {
  const trail = await openTrail(access, true);
  try {
    const now = new Date().toISOString();
    const { clientId: client_id, kind: client_kind, agency } = LOCAL;
    const by = { client_id, client_kind, agency, facts: { os_user: accountName(), ...facts } };
    await trail.record({
      kind: 'administration',
      begun: now,
      ended: now,
      ...by,
      method: 'ridgewatch restore',
      outcome: 'OK',
    });
  } finally {
    await trail.close();
  }
}

function openTrail({ configuration, store, keys }: StoreAccess, restored = false): Promise<AuditTrail> {
  const log: Parameters<typeof openAudit>[3] = (level, _, message) => {
    if (level !== 'info') process.stderr.write(`${message}\n`);
  };
  return openAudit(configuration, store, keys, log, restored);
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
