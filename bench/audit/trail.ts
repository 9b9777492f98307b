import { openAudit } from '../../src/service/audit-start.ts';
import type { AuditTrail } from '../../src/audit/audit-trail.ts';
import type { Keys } from '../../src/security/keys.ts';
import { StoreAuditLog } from '../../src/store/audit-log.ts';

/** Begins a trail on a database. @param dataDir - place of the spool, the key and the anchor */
export function openTrail(url: string, dataDir: string, keys: Keys): Promise<AuditTrail> {
  const settings = { dataDir, auditKey: undefined, auditAnchor: undefined, auditSpoolBytes: 1 << 26 };
  return openAudit(settings, { auditLog: new StoreAuditLog(url) }, keys, () => undefined);
}
