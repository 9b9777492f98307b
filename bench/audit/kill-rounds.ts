/** Rounds in which a process that records is killed, with its database there or away, and what is missing afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { readAuditKey } from '../../src/audit/audit-key.ts';
import { placeOfAnchor } from '../../src/audit/anchor.ts';
import type { ChainedRecord } from '../../src/audit/chain.ts';
import { spooledRecords } from '../../src/audit/spool-replay.ts';
import { spoolFolder } from '../../src/audit/spool.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { Random } from '../../src/random.ts';
import { Keys } from '../../src/security/keys.ts';
import { auditReader } from '../../src/store/audit-reader.ts';
import { openStore } from '../../src/store/store.ts';
import { SEEDS } from '../harness/seeds.ts';
import { openTrail } from './trail.ts';

const WORKER = join(import.meta.dirname, 'writer-worker.ts');
/** Longest time from the first acknowledgement to the kill, in milliseconds. */
const MAX_LIFE_MS = 150;

export interface KillResult {
  readonly rounds: number;
  /** Rounds in which the database went away before the kill. */
  readonly away: number;
  readonly acknowledged: number;
  /** Acknowledged records that are neither in the database nor in a file. */
  readonly lost: number;
  /** Records that are there twice. */
  readonly doubled: number;
  /** Looks at which the records were not verified. */
  readonly unverified: number;
  /** Records that the next start brought over from files. */
  readonly replayed: number;
}

export interface KillOrder {
  readonly rounds: number;
  /** Server whose user may forbid connections. */
  readonly serverUrl: string;
  /** An empty database on it. */
  readonly name: string;
  readonly dataDir: string;
  readonly onRound: (round: number, acknowledged: number) => void;
}

export async function killRounds({ rounds, serverUrl, name, dataDir, onRound }: KillOrder): Promise<KillResult> {
  const moments = new Random(SEEDS.kills, rounds);
  const url = serverUrl.replace(/\/postgres$/, `/${name}`);
  const keys = new Keys({ keyFile: undefined, dataDir });
  const server = new pg.Client({ connectionString: serverUrl });
  await server.connect();
  await (await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined })).close();
  const acknowledged: string[] = [];
  let [away, lost, doubled, unverified, replayed] = [0, 0, 0, 0, 0];
  /** @param since - only records of this round; the last look is at all of them */
  const look = async (ids: readonly string[], since: Date, isLast = false) => {
    const spooled = await spooledRecords(spoolFolder(dataDir), keys);
    const { publicKey, fingerprint } = readAuditKey(undefined, dataDir);
    const options = {
      keys: new Map([[fingerprint, createPublicKey(publicKey)]]),
      anchors: [placeOfAnchor(undefined, dataDir)],
      spooled,
    };
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    await database.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    const found = await idsOf(database, spooled, since);
    lost = isLast ? 0 : lost;
    lost += ids.filter((id) => !found.has(id)).length;
    doubled = [...found.values()].filter((count) => count > 1).length;
    // What is not in order stays so: it is enough to look now and then.
    if (isLast || moments.uniform() < 0.1) {
      const { faulty, badAnchorLines } = await verifyAudit(await auditReader(database), options);
      if (faulty + badAnchorLines.length > 0) unverified++;
    }
    await database.end();
    return [...spooled.values()].reduce((sum, records) => sum + records.length, 0);
  };
  for (let round = 0; round < rounds; round++) {
    const began = new Date();
    const own: string[] = [];
    const goesAway = moments.uniform() < 0.5;
    const child = spawn(process.execPath, [WORKER, url, dataDir, `round-${round}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(child, 'exit');
    const ids = createInterface({ input: child.stdout });
    const ended = once(ids, 'close');
    ids.on('line', (id) => own.push(id));
    await once(ids, 'line');
    if (goesAway) {
      away++;
      await delay(MAX_LIFE_MS * moments.uniform());
      await allowConnections(server, name, false);
    }
    await delay(MAX_LIFE_MS * moments.uniform());
    // It may come back while the file is being replayed.
    if (goesAway && moments.uniform() < 0.25) {
      await allowConnections(server, name, true);
      await delay(1000 + MAX_LIFE_MS * moments.uniform());
    }
    child.kill('SIGKILL');
    await Promise.all([gone, ended]);
    await allowConnections(server, name, true);
    acknowledged.push(...own);
    replayed += await look(own, began);
    onRound(round + 1, acknowledged.length);
  }
  // The last files are brought over, too.
  await (await openTrail(url, dataDir, keys)).close();
  const lostBefore = lost;
  const left = await look(acknowledged, new Date(0), true);
  await server.end();
  lost = Math.max(lost, lostBefore) + left;
  return { rounds, away, acknowledged: acknowledged.length, lost, doubled, unverified, replayed };
}

/** Ends all connections to the database and refuses others, or allows them again. */
async function allowConnections(server: pg.Client, name: string, isAllowed: boolean): Promise<void> {
  await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${isAllowed}`);
  if (!isAllowed)
    await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
}

/** How many records each request has, in the database and in files that it does not have yet. */
async function idsOf(
  database: pg.Client,
  spooled: ReadonlyMap<string, readonly ChainedRecord[]>,
  since: Date,
): Promise<Map<string, number>> {
  const sql = 'SELECT writer, seq, entry FROM audit_record WHERE at >= $1';
  const { rows } = await database.query<{ writer: string; seq: string; entry: string }>(sql, [since]);
  const texts = new Map(rows.map(({ writer, seq, entry }) => [`${writer} ${seq}`, entry]));
  for (const records of spooled.values())
    for (const { writer, seq, text } of records) texts.set(`${writer} ${seq}`, text);
  const counts = new Map<string, number>();
  for (const text of texts.values()) {
    const { request_id: id } = JSON.parse(text) as { request_id?: string };
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
