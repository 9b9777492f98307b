/** Makes the calls. Connections and probes are kept between two orders. */
import { credentials } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import {
  IdentificationClient,
  Purpose,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Modality, TemplateFormat, type Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { SEEDS } from '../harness/seeds.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { promised } from '../service/process.ts';
import type { CallerAddress, CallerOrder, CallerReport } from './callers.ts';

/** Different probes. */
const PROBES = 100;
const POSITIONS = [2, 7] as const;

const clients = new Map<string, IdentificationClient[]>();
let probes: Sample[][] | undefined;

process.on('message', (order: CallerOrder) => {
  call(order).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function call({ places, callers, seconds, enrolled }: CallerOrder): Promise<CallerReport> {
  const made = (probes ??= probesOf(enrolled));
  const answeredMs: number[][] = places.map(() => []);
  let [next, failed, found] = [0, 0, 0];
  const end = performance.now() + seconds * 1000;
  const callOf = async (place: number, caller: number, samples: Sample[]) => {
    const client = clientOf(places[place], caller);
    const request = identifyRequest(samples, { purpose: Purpose.BORDER_CHECK });
    const began = performance.now();
    try {
      const { candidates } = await promised<IdentifyResponse>((callback) => client.identify(request, callback));
      answeredMs[place].push(performance.now() - began);
      if (candidates.length > 0) found++;
    } catch {
      failed++;
    }
  };
  const caller = async (number: number) => {
    while (performance.now() < end) {
      const probe = next++;
      // None is always the first, whose probe is new to the caches.
      for (let i = 0; i < places.length; i++)
        await callOf((probe + i) % places.length, number, made[probe % PROBES] ?? []);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  return { answeredMs, failed, found };
}

/** Each caller has a connection of its own. */
function clientOf({ address, tls }: CallerAddress, i: number): IdentificationClient {
  let known = clients.get(address);
  if (known === undefined) clients.set(address, (known = []));
  return (known[i] ??= new IdentificationClient(
    address,
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert)),
    { ...DIRECT_CHANNEL, 'grpc.use_local_subchannel_pool': 1 },
  ));
}

function probesOf(enrolled: number): Sample[][] {
  return Array.from({ length: PROBES }, (_, i) => {
    const person = createPerson(SEEDS.probes, i % 2 === 0 ? i % enrolled : enrolled + i);
    return POSITIONS.map((position) => ({
      modality: Modality.FINGER,
      format: TemplateFormat.ISO_19794_2_2005,
      data: Buffer.from(person.fingerRecord(position, 1)),
      fingerPosition: 0,
      quality: 0,
      modelId: '',
      dimension: 0,
      captureTime: undefined,
    }));
  });
}
