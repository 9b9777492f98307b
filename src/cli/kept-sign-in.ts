/** Sign-ins that commands use: one file for each provider, for its owner only. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { replaceFile } from '../files/durable-file.ts';
import { FileLock } from '../files/file-lock.ts';
import { renew, type AtProvider, type Tokens } from './device-sign-in.ts';

/** A token that ends sooner than this is renewed before a call, in seconds. */
const RENEW_SECONDS = 30;
/** Time for another command to renew the same sign-in, in milliseconds. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 50;
const MAX_TOKEN = 16_384;

const token = z.string().min(1).max(MAX_TOKEN);
const schema = z.strictObject({
  issuer: z.string(),
  client_id: z.string(),
  ca_file: z.string().optional(),
  uses_id_token: z.boolean(),
  token,
  expires_at: z.number(),
  refresh_token: token.optional(),
});

export interface Kept {
  readonly at: AtProvider;
  readonly tokens: Tokens;
}

/** The folder of the account, whatever the environment says: a token must not end up elsewhere. */
function folderOf(given: string | undefined): string {
  return given ?? join(userInfo().homedir, '.config', 'ridgewatch');
}

function fileOf(folder: string | undefined, issuer: string): string {
  const name = createHash('sha256').update(issuer).digest('hex').slice(0, 32);
  return join(folderOf(folder), `sign-in-${name}.json`);
}

/** @param folder - undefined: that of the account @returns the file @throws Failure OUTPUT_UNWRITABLE */
export async function keep(folder: string | undefined, { at, tokens }: Kept): Promise<string> {
  const file = fileOf(folder, at.issuer);
  const content: z.input<typeof schema> = {
    issuer: at.issuer,
    client_id: at.clientId,
    ca_file: at.caFile,
    uses_id_token: at.usesIdToken,
    token: tokens.token,
    expires_at: tokens.expiresAt,
    refresh_token: tokens.refreshToken,
  };
  try {
    mkdirSync(folderOf(folder), { recursive: true, mode: 0o700 });
    await replaceFile(file, `${JSON.stringify(content)}\n`, 0o600);
  } catch (cause) {
    throw new Failure('failed-precondition', 'OUTPUT_UNWRITABLE', `The sign-in ${file} cannot be written.`, { cause });
  }
  return file;
}

/** @returns undefined: there is none, or it is not readable */
export function kept(folder: string | undefined, issuer: string): Kept | undefined {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(fileOf(folder, issuer), 'utf8'));
  } catch {
    return undefined;
  }
  const read = schema.safeParse(content);
  if (!read.success || read.data.issuer !== issuer) return undefined;
  const { client_id, ca_file, uses_id_token, token: held, expires_at, refresh_token } = read.data;
  return {
    at: { issuer, clientId: client_id, caFile: ca_file, usesIdToken: uses_id_token },
    tokens: { token: held, expiresAt: expires_at, refreshToken: refresh_token },
  };
}

export function forget(folder: string | undefined, issuer: string): void {
  rmSync(fileOf(folder, issuer), { force: true });
}

/**
 * A token for a call, renewed if it ends soon.
 * @throws Failure SIGN_IN_MISSING, SIGN_IN_EXPIRED, SIGN_IN_FAILED
 */
export async function tokenForCall(folder: string | undefined, issuer: string): Promise<string> {
  const present = required(folder, issuer);
  if (isFresh(present)) return present.tokens.token;
  // A provider may take a refresh token once only: two commands must not use the same one.
  const lock = await lockOf(fileOf(folder, issuer));
  try {
    const { at, tokens } = required(folder, issuer);
    if (isFresh({ at, tokens })) return tokens.token;
    if (tokens.refreshToken === undefined) {
      const sentence = `The sign-in at ${issuer} has expired: ridgewatch login signs in again.`;
      throw new Failure('unauthenticated', 'SIGN_IN_EXPIRED', sentence);
    }
    const renewed = await renew(at, tokens.refreshToken);
    await keep(folder, { at, tokens: renewed });
    return renewed.token;
  } finally {
    lock?.release();
  }
}

function required(folder: string | undefined, issuer: string): Kept {
  const found = kept(folder, issuer);
  if (found !== undefined) return found;
  const sentence = `There is no sign-in at ${issuer}: ridgewatch login --issuer ${issuer} signs in.`;
  throw new Failure('invalid-argument', 'SIGN_IN_MISSING', sentence);
}

function isFresh({ tokens }: Kept): boolean {
  return tokens.expiresAt - Date.now() / 1000 > RENEW_SECONDS;
}

/** @returns undefined: another command still holds it; the provider then decides between the two */
async function lockOf(file: string): Promise<FileLock | undefined> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await delay(RETRY_MS)) {
    const lock = FileLock.take(`${file}.lock`, { missing: 'make' });
    if (lock !== undefined) return lock;
  }
  return undefined;
}
