import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { Failure } from '../failure.ts';
import { PURPOSES } from './actions.ts';
import type { RegisteredClient } from './client-directory.ts';
import { ROLES, type Client } from './principal.ts';
import { isToken, makeToken, tokenFingerprint } from './tokens.ts';

/** Name of the file in the data directory. */
const FILE = 'local-token';
/** Id of the client that the first start makes: the machine's own operator, with every role. */
export const LOCAL_CLIENT = 'local';

/** The client of operators who can read the data directory, and with it the keys of everything stored. */
export const LOCAL: Client = {
  clientId: LOCAL_CLIENT,
  kind: 'person',
  agency: 'local',
  agencyCode: 'LOCAL',
  roles: new Set(ROLES),
  galleries: 'all',
  purposes: new Set(PURPOSES),
  clearance: 3,
  // It is limited by what the machine can do.
  budgets: { callsPerSecond: 10_000, streams: 1000, verificationsPerDay: 1_000_000 },
};

/** The store's part. */
export interface LocalClientStore {
  addClient(client: Client, credentials: readonly NewToken[], doing: Doing): Promise<void>;
  addCredential(clientId: string, credential: NewToken, othersExpire: undefined, doing: Doing): Promise<void>;
}

interface Doing {
  readonly by: string;
  readonly at: Date;
}

interface NewToken {
  readonly credentialId: string;
  readonly kind: 'token';
  readonly fingerprint: string;
  readonly name: undefined;
  readonly issuer: undefined;
  readonly expireTime: undefined;
}

/** Path of the token of a data directory. */
export function localTokenFile(dataDir: string): string {
  return join(dataDir, FILE);
}

/** A token with what an editor may have put around it. */
const MAX_FILE_BYTES = 1024;

/**
 * @param file - path of a regular file: reading a pipe or a device may never end
 * @returns undefined: there is no such file, or it may not be read
 * @throws Failure TOKEN_INVALID
 */
export function readToken(file: string): string | undefined {
  let text: string;
  try {
    const facts = statSync(file);
    if (!facts.isFile()) return undefined;
    text = facts.size > MAX_FILE_BYTES ? '' : readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
  if (isToken(text)) return text;
  throw new Failure('invalid-argument', 'TOKEN_INVALID', `The file ${file} does not hold a token.`);
}

/**
 * Makes sure that the data directory holds a token of the local client, by which the command line on this machine
 * works. The first start makes the client. A start on a store from elsewhere, as after a restore, gives it another
 * token. A disabled local client gets none.
 * @param create - writes a new file for its owner only; false: there is one by now
 * @returns whether a token was made
 */
export async function ensureLocalToken(
  dataDir: string,
  clients: readonly RegisteredClient[],
  store: LocalClientStore,
  create: (file: string, content: string) => Promise<boolean>,
  now: Date,
): Promise<boolean> {
  const file = localTokenFile(dataDir);
  const local = clients.find(({ client }) => client.clientId === LOCAL_CLIENT);
  if (local?.disableTime !== undefined) return false;
  const present = readToken(file);
  const isKnown =
    present !== undefined &&
    local?.credentials.some(({ fingerprint }) => fingerprint === tokenFingerprint(present)) === true;
  if (isKnown) return false;
  // A token from before a restore, or from a start that ended between the file and the store, is registered as it is.
  const token = present ?? makeToken();
  if (present === undefined && !(await create(file, `${token}\n`))) return false;
  const credential: NewToken = {
    credentialId: randomUUID(),
    kind: 'token',
    fingerprint: tokenFingerprint(token),
    name: undefined,
    issuer: undefined,
    expireTime: undefined,
  };
  const doing = { by: LOCAL_CLIENT, at: now };
  if (local === undefined) await store.addClient(LOCAL, [credential], doing);
  else await store.addCredential(LOCAL_CLIENT, credential, undefined, doing);
  return true;
}
