/**
 * Replication delay between two services on one database: from the return of Enroll on the first until Identify on the
 * second returns the subject.
 *
 *   npm run bench -- replicas [--enrolments 100] [--json]
 *
 * The database is embedded. The second service is polled, so a figure is too long by up to one search.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import { GalleryClient, type EnrollResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { benchData } from '../service/subject-data.ts';
import { SEEDS } from '../harness/seeds.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { percentiles } from '../harness/percentiles.ts';
import { inWords } from '../harness/words.ts';
import { endProcess, promised, startProcess, type ServiceProcess } from '../service/process.ts';
import { channelOf } from '../service/channel.ts';

const { values: options } = parseArgs({
  options: { enrolments: { type: 'string', default: '100' }, json: { type: 'boolean', default: false } },
});

const directory = mkdtempSync(join(tmpdir(), 'ridgewatch-replicas-'));
const cluster = await startEmbeddedCluster(directory, () => undefined);
const environment = {
  DATABASE_URL: cluster.url,
  RIDGEWATCH_KEY_FILE: join(directory, 'keys.json'),
  RIDGEWATCH_DEMO: 'never',
  RIDGEWATCH_WORKERS: '1',
};
const services: ServiceProcess[] = [];
try {
  // The first service creates the keys.
  const { RIDGEWATCH_KEY_FILE, ...first } = environment;
  services.push(await startProcess(directory, first));
  services.push(await startProcess(join(directory, 'second'), { ...environment, RIDGEWATCH_KEY_FILE }));
  const took = await measure(Number(options.enrolments));
  const report = { 'enrolled until found by the other, ms': percentiles(took) };
  if (options.json) console.log(JSON.stringify(report));
  else console.table(inWords(report));
} finally {
  for (const { child } of services) await endProcess(child);
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function measure(enrolments: number): Promise<number[]> {
  const [first, second] = services;
  const gallery = new GalleryClient(first.address, credentials.createInsecure(), channelOf(first.address));
  const identification = new IdentificationClient(
    second.address,
    credentials.createInsecure(),
    channelOf(second.address),
  );
  const took: number[] = [];
  for (let i = 0; i < enrolments; i++) {
    const samples = demoSamples(createPerson(SEEDS.enrolled, i), 0).slice(0, 2);
    const { subject } = await promised<EnrollResponse>((callback) =>
      gallery.enroll({ data: benchData(), samples, clientRequestId: '' }, callback),
    );
    const enrolled = performance.now();
    for (;;) {
      const { candidates } = await promised<IdentifyResponse>((callback) =>
        identification.identify(identifyRequest(samples), callback),
      );
      if (candidates.some(({ subjectId }) => subjectId === subject?.subjectId)) break;
    }
    took.push(performance.now() - enrolled);
  }
  gallery.close();
  identification.close();
  return took;
}
