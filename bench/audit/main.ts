/**
 * The audit: records a second and the latency that a record adds, for 1, 8 and 32 callers, in the database and in the
 * local file; then rounds in which a recording process is killed (SIGKILL at random moments), in half of them while its
 * database is away; then rounds in which a whole service is killed, in half of them after its database. Real processes,
 * embedded PostgreSQL.
 *
 *   npm run bench -- audit [--rounds 200] [--service-rounds 20] [--seconds 5] [--json]
 *
 * Exits with 1 when an acknowledged record was lost or doubled, an answer has no record, or the records were not
 * verified.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { openStore } from '../../src/store/store.ts';
import { inWords } from '../harness/words.ts';
import { answerRounds } from './answer-rounds.ts';
import { killRounds } from './kill-rounds.ts';
import { measure, type AuditLoad } from './throughput.ts';
import { openTrail } from './trail.ts';

const CALLERS = [1, 8, 32];
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    'service-rounds': { type: 'string', default: '20' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const directory = mkdtempSync(join(tmpdir(), 'ridgewatch-audit-'));
const cluster = await startEmbeddedCluster(join(directory, 'database'), () => undefined);
const server = new pg.Client({ connectionString: cluster.url });
await server.connect();
const loads: (AuditLoad & { readonly where: string })[] = [];
try {
  await server.query('CREATE DATABASE load');
  await server.query('CREATE DATABASE killed');
  const url = cluster.url.replace(/\/postgres$/, '/load');
  const keys = new Keys({ keyFile: undefined, dataDir: directory });
  await (await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined })).close();
  const trail = await openTrail(url, directory, keys);
  const seconds = Number(values.seconds);
  for (const callers of CALLERS) loads.push({ where: 'database', ...(await measure(trail, callers, seconds)) });
  await server.query('ALTER DATABASE load ALLOW_CONNECTIONS false');
  await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'load'");
  for (const callers of CALLERS) loads.push({ where: 'file', ...(await measure(trail, callers, seconds / 5)) });
  await server.query('ALTER DATABASE load ALLOW_CONNECTIONS true');
  await trail.close();
  const kills = await killRounds({
    rounds: Number(values.rounds),
    serverUrl: cluster.url,
    name: 'killed',
    dataDir: join(directory, 'killed'),
    onRound: (round, acknowledged) => console.error(`round ${round}: ${acknowledged} records acknowledged so far`),
  });
  const answers = await answerRounds(Number(values['service-rounds']), (round, answered) =>
    console.error(`service round ${round}: ${answered} answers so far`),
  );
  if (values.json) console.log(JSON.stringify({ loads, kills, answers }));
  else {
    console.table(loads);
    console.table(inWords({ ...kills }));
    console.table(inWords({ ...answers }));
  }
  process.exitCode =
    kills.lost + kills.doubled + kills.unverified + answers.unrecorded === 0 && answers.verified === 0 ? 0 : 1;
} finally {
  await server.end();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}
