/** The HTTP surface, as an orchestrator and Prometheus ask it, only far more often. */
import autocannon from 'autocannon';
import { Sample } from '../../src/api/generated/ridgewatch/v1/sample.ts';

const CONNECTIONS = 4;
/** Each connection asks so often a second: a thousand times what a real one does. */
const RATE = 200;
const SEARCHES = 5;

export function askHttp(httpAddress: string, path: string, seconds: number) {
  return ask(httpAddress, path, seconds, { overallRate: RATE });
}

/** Searches in JSON: autocannon sends the next one when the last was answered, so that it cannot crowd the others out. */
export function searchHttp(httpAddress: string, samples: readonly Sample[], seconds: number) {
  const request = {
    samples: samples.map((sample) => Sample.toJSON(sample)),
    purpose: 'PURPOSE_TEST',
    checkpoint_id: 'bench',
  };
  return ask(httpAddress, '/v1/identify', seconds, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
    overallRate: SEARCHES,
  });
}

async function ask(httpAddress: string, path: string, seconds: number, how: Partial<autocannon.Options>) {
  const { requests, latency, non2xx, errors, timeouts } = await autocannon({
    url: `${httpAddress}${path}`,
    connections: CONNECTIONS,
    duration: seconds,
    ...how,
  });
  return {
    path,
    'requests/s': Math.round(requests.average),
    p50: latency.p50,
    p99: latency.p99,
    max: latency.max,
    failed: non2xx + errors + timeouts,
  };
}
