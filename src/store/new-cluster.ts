/** Creates the cluster of an embedded database. */
import { execFile, type ExecFileException } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { childEnvironment } from './child-environment.ts';
import { CLUSTER_USER } from './cluster-credentials.ts';
import { installDraft } from './cluster-home.ts';
import { databaseFailed } from './database-failure.ts';
import type { StoreLog } from './database-server.ts';
import { transferOwnership, type DatabaseHost } from './database-user.ts';

const DRAFT = 'postgres.new';
/** Drafts named by this program. Files with other, similar names belong to the operator. */
const DRAFTS = /^postgres\.new-[0-9a-f]{8}(-password)?$/;
/** initdb writes a few MB, which takes some seconds on a slow disk. */
const INITDB_PATIENCE_MS = 300_000;

/**
 * Creates the cluster under another name and renames it when it is complete: a killed start leaves nothing that looks
 * like a cluster. Each attempt uses its own name, because programs of a killed attempt may still be writing.
 */
export async function createCluster(host: DatabaseHost, root: string, password: string, log: StoreLog): Promise<void> {
  log({ level: 'info', message: 'making the embedded database' });
  const draft = join(host.home, `${DRAFT}-${randomBytes(4).toString('hex')}`);
  const passwordFile = `${draft}-password`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    for (const given of [draft, passwordFile]) await transferOwnership(given, host.identity);
    await runInitdb(host, draft, passwordFile);
    await installDraft(draft, root, host.home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function runInitdb({ initdb, home, identity }: DatabaseHost, draft: string, passwordFile: string): Promise<void> {
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-instructions'];
  const args = [`--pgdata=${draft}`, `--username=${CLUSTER_USER}`, `--pwfile=${passwordFile}`, ...settings];
  const options = { cwd: home, env: childEnvironment(), timeout: INITDB_PATIENCE_MS, ...identity };
  const { error, stderr } = await new Promise<{ error: ExecFileException | null; stderr: string }>((done) => {
    execFile(initdb, args, options, (failed, _stdout, said) => done({ error: failed, stderr: said }));
  });
  if (error === null) return;
  const output = stderr.trim() === '' ? error.message : stderr;
  throw databaseFailed(home, { output, code: error.code, signal: error.signal, cause: error });
}

/** Removes drafts of killed starts. Their programs may still be writing: the next start removes the rest. */
export async function removeDrafts(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!DRAFTS.test(name)) continue;
    const options = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 };
    await rm(join(home, name), options).catch(() => undefined);
  }
}
