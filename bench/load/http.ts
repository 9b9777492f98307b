/** Load on the HTTP surface: requests of an orchestrator and of Prometheus, far more often. */
import autocannon from 'autocannon';
import { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';

const CONNECTIONS = 4;
/** Headers that show a token. */
type Headers = Readonly<Record<string, string>>;

/** Requests a second per connection: a thousand times those of a real client. */
const RATE = 200;
const SEARCHES = 5;

export function askHttp(httpAddress: string, path: string, seconds: number, headers: Headers) {
  return ask(httpAddress, path, seconds, { overallRate: RATE, headers });
}

/** Searches in JSON, closed loop: autocannon waits for each answer and cannot displace the other calls. */
export function searchHttp(httpAddress: string, samples: readonly Sample[], seconds: number, headers: Headers) {
  const request = {
    samples: samples.map((sample) => Sample.toJSON(sample)),
    purpose: 'PURPOSE_TEST',
    checkpoint_id: 'bench',
  };
  return ask(httpAddress, '/v1/identify', seconds, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
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
