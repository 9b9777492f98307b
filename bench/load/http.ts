/** The HTTP surface, as an orchestrator and Prometheus ask it, only far more often. */
import autocannon from 'autocannon';

const CONNECTIONS = 4;
/** Each connection asks so often a second: a thousand times what a real one does. */
const RATE = 200;

export async function askHttp(httpAddress: string, path: string, seconds: number) {
  const { requests, latency, non2xx, errors, timeouts } = await autocannon({
    url: `${httpAddress}${path}`,
    connections: CONNECTIONS,
    overallRate: RATE,
    duration: seconds,
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
