/** Identifies what a client may do, so that two administrators do not overwrite each other's changes. */
import { createHash } from 'node:crypto';
import type { Client } from './principal.ts';

/** Hexadecimal digits of an etag. */
const DIGITS = 32;

/** @returns equal for clients with equal rights, whatever the order of their lists; 32 hexadecimal digits */
export function etagOf(client: Client): string {
  const { clientId, kind, agency, roles, galleries, purposes, clearance, budgets } = client;
  const content = [
    [clientId, kind, agency, clearance],
    [...roles].sort(),
    galleries === 'all' ? 'all' : [...galleries].sort(),
    [...purposes].sort(),
    [budgets.callsPerSecond ?? null, budgets.streams ?? null, budgets.verificationsPerDay ?? null],
  ];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, DIGITS);
}
