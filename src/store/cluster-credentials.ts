/** Users and passwords of the embedded database. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import { PASSWORD_FILE, SERVICE_PASSWORD_FILE } from './cluster-home.ts';

/** The superuser, which PostgreSQL has to have: for administration only. */
export const CLUSTER_USER = 'ridgewatch';
/** The role of a running service, see service-grants.ts. */
export const SERVICE_USER = 'ridgewatch_service';

export function urlOf(password: string, port: number, user = CLUSTER_USER): string {
  return `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;
}

/**
 * The superuser's password. It is created once and kept beside the files, readable by the owner only.
 * @param isInUse - a cluster with this password exists; a new password would not open it
 */
export async function passwordOf(root: string, isInUse: boolean): Promise<string> {
  const file = join(root, PASSWORD_FILE);
  const kept = await readPassword(file);
  if (kept !== '') return kept;
  if (isInUse) {
    const sentence = `The password of the embedded database is missing: bring back ${file}.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
  }
  return makePassword(file);
}

/**
 * The password of the service's role, kept like the other. A lost one is replaced: the superuser gives the role the new
 * one.
 */
export async function servicePasswordOf(root: string): Promise<string> {
  const file = join(root, SERVICE_PASSWORD_FILE);
  const kept = await readPassword(file);
  return kept === '' ? makePassword(file) : kept;
}

async function readPassword(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch((error: unknown) => passwordUnread(file, error))).trim();
}

async function makePassword(file: string): Promise<string> {
  const password = randomBytes(24).toString('hex');
  // Durable before its use: a partly written password must not be taken for a whole one.
  await replaceFile(file, password, 0o600);
  return password;
}

/** @returns an empty text: no such file exists. @throws Failure EMBEDDED_DATABASE_FAILED */
function passwordUnread(file: string, cause: unknown): string {
  const { code = 'no reason given' } = cause as { code?: string };
  if (code === 'ENOENT') return '';
  const sentence = `The password of the embedded database cannot be read from ${file} (${code}): see to that file, or bring it back.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
}
