/**
 * Kills the service, its database or an index build while subjects are enrolled, updated and expunged, starts again and
 * compares with a journal of what was acknowledged. Real processes, a real embedded PostgreSQL; SIGKILL at a random
 * moment.
 *
 *   npm run bench -- durability [--rounds 10] [--json]
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
