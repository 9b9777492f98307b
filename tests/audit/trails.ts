/** Audit trails on a real database. */
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { openAuditKey } from '../../src/audit/audit-key.ts';
import type { AuditEntry } from '../../src/audit/audit-entry.ts';
import { placeOfAnchor } from '../../src/audit/anchor.ts';
import { AuditTrail, type TrailSettings } from '../../src/audit/audit-trail.ts';
import type { KnownKeys } from '../../src/audit/chain-check.ts';
import { spoolFolder } from '../../src/audit/spool.ts';
import type { Keys } from '../../src/security/keys.ts';
import type { SigningKey } from '../../src/security/signing-key.ts';
import { StoreAuditLog } from '../../src/store/audit-log.ts';

export const MAX_SPOOL_BYTES = 1 << 26;

/** A data directory: keys, spool and anchor. */
export interface Place {
  readonly dataDir: string;
  readonly keys: Keys;
}

/** Begins a trail over a connection of its own. */
export async function openTrail(url: string, place: Place, more: Partial<TrailSettings> = {}): Promise<AuditTrail> {
  return AuditTrail.open({
    log: new StoreAuditLog(url),
    signer: await openAuditKey(undefined, place.dataDir),
    sealer: place.keys,
    spoolFolder: spoolFolder(place.dataDir),
    maxSpoolBytes: MAX_SPOOL_BYTES,
    anchorFile: placeOfAnchor(undefined, place.dataDir),
    program: 'test',
    onAway: () => undefined,
    onAnchorTrouble: () => undefined,
    onReplayed: () => undefined,
    ...more,
  });
}

export function knownKeys(...keys: readonly SigningKey[]): KnownKeys {
  return new Map(keys.map((key) => [key.fingerprint, createPublicKey(key.publicKey)]));
}

export function anchorOf({ dataDir }: Place): string {
  return join(dataDir, 'audit-anchor.ndjson');
}

/** A search, as the service records it. */
export function search(number: number, more: Partial<AuditEntry> = {}): AuditEntry {
  const begun = Date.UTC(2026, 0, 1) + number * 10;
  return {
    kind: 'call',
    begun: new Date(begun).toISOString(),
    ended: new Date(begun + 7).toISOString(),
    client_id: `gate-${number % 3}`,
    client_kind: 'machine',
    agency: `agency ${number % 2}`,
    credential: 'ab'.repeat(32),
    peer: '192.0.2.1',
    method: 'Identification/Identify',
    action: 'identify',
    purpose: 'border-check',
    checkpoint_id: 'north',
    request_id: `request ${number}`,
    galleries: ['watchlist'],
    classes: { count: 3, digest: 'cd'.repeat(32) },
    gallery_version: number,
    probe: 'key:AAAA',
    candidates: [
      { subject_id: subjectId(number), rank: 1, log10_fmr: -7.25, band: 'strong-candidate' },
      { subject_id: subjectId(number + 1), rank: 2, log10_fmr: -5, band: 'review' },
    ],
    outcome: 'OK',
    facts: { subjects_searched: 1000, indexed: true },
    ...more,
  };
}

export function subjectId(number: number): string {
  return `00000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}
