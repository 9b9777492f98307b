import { placeOfAnchor } from '../audit/anchor.ts';
import { openAuditKey } from '../audit/audit-key.ts';
import { AuditTrail } from '../audit/audit-trail.ts';
import { spoolFolder } from '../audit/spool.ts';
import type { Configuration } from '../configuration.ts';
import { programVersion } from '../installation.ts';
import type { Keys } from '../security/keys.ts';
import type { Store } from '../store/store.ts';

type Settings = Pick<Configuration, 'dataDir' | 'auditKey' | 'auditAnchor' | 'auditSpoolBytes'>;
type Log = (level: 'info' | 'warn' | 'error', facts: Readonly<Record<string, unknown>>, message: string) => void;

/**
 * Begins the audit of this process, with what killed processes have left; to be closed before the store.
 * @param restored - the store was just filled from a backup
 * @throws Failure KEYS_UNREADABLE, KEYS_INVALID, LOCK_REFUSED, AUDIT_SPOOL_UNWRITABLE, AUDIT_ANCHOR_UNWRITABLE; reasons of
 * the store
 */
export async function openAudit(
  { dataDir, auditKey, auditAnchor, auditSpoolBytes }: Settings,
  store: Pick<Store, 'auditLog'>,
  keys: Keys,
  log: Log,
  restored = false,
): Promise<AuditTrail> {
  return AuditTrail.open({
    log: store.auditLog,
    signer: await openAuditKey(auditKey, dataDir),
    sealer: keys,
    spoolFolder: spoolFolder(dataDir),
    maxSpoolBytes: auditSpoolBytes,
    anchorFile: placeOfAnchor(auditAnchor, dataDir),
    program: programVersion,
    restored,
    onAway: (failure) => {
      if (failure === undefined) log('info', {}, 'audit records go to the database again');
      else log('warn', { reason: failure.reason }, 'audit records go to a local file: the database does not take them');
    },
    onAnchorTrouble: ({ reason, message }) => {
      log('error', { reason }, message);
    },
    onReplayed: ({ records, damaged, locked }) => {
      if (records > 0) log('info', { records }, 'audit records of a process that was killed were brought over');
      for (const file of damaged)
        log(
          'error',
          { file },
          'a file of audit records is damaged and was set aside; audit verify names what is missing',
        );
      for (const file of locked)
        log('error', { file }, 'a file of audit records waits for its key (RIDGEWATCH_KEY_FILE)');
    },
  });
}
