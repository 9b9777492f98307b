/**
 * Crash recovery: kills the service, its database, or an index build (SIGKILL at random moments) while subjects are
 * enrolled, updated, and expunged; restarts, and compares with a journal of acknowledged changes. Real processes,
 * embedded PostgreSQL.
 *
 *   npm run bench -- durability [--rounds 10] [--json]
 *
 * Exits with 1 when a change was lost or undone.
 */
import { parseArgs } from 'node:util';
import { inWords } from '../harness/words.ts';
import { killRounds } from './kill-rounds.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
});
const result = await killRounds(Number(values.rounds), (round, acknowledged) =>
  console.error(`round ${round}: ${acknowledged} enrolments acknowledged so far`),
);
if (values.json) console.log(JSON.stringify(result));
else console.table(inWords({ ...result, killed: JSON.stringify(result.killed) }));
const { lost, updatesLost, resurrected, torn, notSearchable, holes } = result;
process.exitCode = lost + updatesLost + resurrected + torn + notSearchable + holes === 0 ? 0 : 1;
