/**
 * The stream of hits to the owner of the records: whether cuts lose a hit, and how long a hit takes. Real processes and
 * sockets, and a database of its own.
 *
 *   npm run bench -- hits [--cuts 1000] [--kills 100] [--minutes 60] [--seconds 60]
 *     [--rate 20] [--json]
 *
 * 1. While two callers search, one thing at a time is cut, at a random moment: the connection of the owner's stream, all
 *    connections of the service to the database, or the process of the service (SIGKILL, --kills of the --cuts; no cuts after --minutes). The
 *    owner calls again each time, and acknowledges at random. `missed` are hits in the store that never came, and
 *    answered searches without a hit. `out of order` are hits that came after one of a greater position.
 * 2. Searches at --rate a second, open loop with Poisson arrivals. Latency counts from the scheduled send time, and from
 *    the answer: below 0, the owner knew before the caller.
 *
 * The bench shares the cores of the machine with the service. Exits with 1 when a hit was missed or out of order.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { inWords } from '../harness/words.ts';
import { cutRounds } from './cut-rounds.ts';
import { hitLatency } from './hit-latency.ts';
import { RunningService } from './running-service.ts';

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const [cuts, kills, minutes, seconds, rate] = [
  values.cuts,
  values.kills,
  values.minutes,
  values.seconds,
  values.rate,
].map(Number);

const directory = mkdtempSync(join(tmpdir(), 'ridgewatch-hits-'));
const cluster = await startEmbeddedCluster(join(directory, 'database'), () => undefined);
const service = new RunningService(join(directory, 'service'), cluster.url);
try {
  await service.start();
  const owner = await service.enrolForOwner();
  const cut = await cutRounds(service, owner, cluster.url, cuts, Math.min(cuts, kills), minutes, (done, hits) => {
    if (done % 25 === 0) console.error(`${done} cuts: ${hits} hits so far`);
  });
  const latency = seconds === 0 ? undefined : await hitLatency(service, owner, rate, seconds);
  if (values.json) console.log(JSON.stringify({ cut, latency }));
  else console.dir(inWords({ cut, ...(latency && { latency }) }), { depth: 4 });
  process.exitCode = cut.missed + cut.answeredWithoutHit + cut.outOfOrder + cut.unknown === 0 ? 0 : 1;
} finally {
  await service.stop();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}
