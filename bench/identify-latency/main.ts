/**
 * Latency of Identify over gRPC on a demo gallery (two fingers and a face per subject): p50, p99, and throughput,
 * closed loop with 1 and with 8 callers. Half of the searches are mated. `load` has an open loop.
 *
 *   npm run bench -- identify-latency [--subjects 1000] [--searches 400] [--json]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { demoPerson, demoSamples } from '../../src/service/demo-gallery.ts';
import { percentiles } from '../harness/percentiles.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { endProcess, promised, startProcess } from '../service/process.ts';
import { channelOf } from '../service/channel.ts';

const { values } = parseArgs({
  options: {
    subjects: { type: 'string', default: '1000' },
    searches: { type: 'string', default: '400' },
    json: { type: 'boolean', default: false },
  },
});
const subjects = Number(values.subjects);
const searches = Number(values.searches);

/** Probes made beforehand: making them is not measured. Even ones are of enrolled people. */
const probes = Array.from({ length: Math.min(200, searches) }, (_, i) => {
  const index = i % 2 === 0 ? i % subjects : subjects + i;
  return { mated: i % 2 === 0, samples: demoSamples(demoPerson(index), 1) };
});

async function measure(address: string, callers: number) {
  const clients = Array.from(
    { length: callers },
    () =>
      new IdentificationClient(address, credentials.createInsecure(), {
        ...channelOf(address),
        'grpc.use_local_subchannel_pool': 1,
      }),
  );
  const took: number[] = [];
  let next = 0;
  let mates = 0;
  let found = 0;
  let falsePositives = 0;
  const caller = async (client: IdentificationClient) => {
    while (next < searches) {
      const probe = probes[next++ % probes.length];
      const started = performance.now();
      const request = identifyRequest(probe.samples, { exact: true });
      const { candidates } = await promised<IdentifyResponse>((callback) => client.identify(request, callback));
      took.push(performance.now() - started);
      if (probe.mated) {
        mates++;
        found += candidates.length > 0 ? 1 : 0;
      } else {
        falsePositives += candidates.length > 0 ? 1 : 0;
      }
    }
  };
  const started = performance.now();
  await Promise.all(clients.map(caller));
  const seconds = (performance.now() - started) / 1000;
  for (const client of clients) client.close();
  const { p50, p99, max } = percentiles(took);
  return {
    callers,
    searches,
    'p50 ms': p50,
    'p99 ms': p99,
    'max ms': max,
    'searches/s': Number((searches / seconds).toFixed(1)),
    'mated with a candidate %': Number(((100 * found) / mates).toFixed(1)),
    'non-mated with a candidate %': Number(((100 * falsePositives) / (searches - mates)).toFixed(1)),
  };
}

const dataDir = mkdtempSync(join(tmpdir(), 'ridgewatch-latency-'));
const { child, address } = await startProcess(dataDir, {
  RIDGEWATCH_DEMO: 'always',
  RIDGEWATCH_DEMO_SUBJECTS: String(subjects),
  RIDGEWATCH_LOG_LEVEL: 'info',
});
try {
  await measure(address, 2);
  const results = [await measure(address, 1), await measure(address, 8)];
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
  if (values.json) console.log(JSON.stringify({ machine, subjects, results }));
  else {
    console.log(
      `${subjects} subjects, ${3 * subjects} references, exact; ${machine.cores} × ${machine.cpu}, Node.js ${machine.node}`,
    );
    console.table(results);
  }
} finally {
  await endProcess(child);
  rmSync(dataDir, { recursive: true, force: true });
}
