import type { AuditEntry } from '../../src/audit/audit-entry.ts';

/** A search with two candidates, as the service records it; about 1.1 kB. */
export function searchEntry(requestId: string): AuditEntry {
  const now = new Date().toISOString();
  const hash = 'ab'.repeat(32);
  return {
    kind: 'call',
    begun: now,
    ended: now,
    client_id: 'gate-north-1',
    client_kind: 'machine',
    agency: 'border police',
    credential: hash,
    peer: '192.0.2.17',
    method: 'Identification/Identify',
    action: 'identify',
    purpose: 'border-check',
    checkpoint_id: 'north',
    request_id: requestId,
    galleries: ['watchlist'],
    classes: { count: 12, digest: hash },
    gallery_version: 123_456,
    store_state: hash.slice(0, 32),
    index: '20260101-000000-123456',
    models: { finger: hash, 'finger-vector': hash },
    calibrations: { finger: hash },
    policy: hash,
    probe: `2026-01-01-abcdef:${'A'.repeat(43)}`,
    candidates: [1, 2].map((rank) => ({
      subject_id: `00000000-0000-7000-8000-00000000000${rank}`,
      rank,
      log10_fmr: -8.125 + rank,
      band: 'review',
    })),
    outcome: 'OK',
    facts: { subjects_searched: 100_000, mode: 'indexed' },
  };
}
