/** The time from a search to its hit at the owner's stream, at a constant rate of searches. */
import { Random } from '../../src/random.ts';
import { percentiles } from '../harness/percentiles.ts';
import { SEEDS } from '../harness/seeds.ts';
import { OwnerStream } from './owner-stream.ts';
import type { RunningService } from './running-service.ts';

/** Searches before the measured ones. */
const WARM_UP = 50;
/** Longest wait for the last hits, in milliseconds. */
const LAST_MS = 10_000;

export interface HitLatency {
  readonly 'searches/s': number;
  readonly searches: number;
  readonly failed: number;
  readonly hits: number;
  /** From the scheduled send time to the answer, ms. */
  readonly 'search to answer, ms': Spread;
  readonly 'search to hit, ms': Spread;
  readonly 'answer to hit, ms': { readonly p50: number; readonly p99: number };
  /** Longest delay of a send behind its schedule, ms. */
  readonly 'sent late by, ms': number;
}

type Spread = ReturnType<typeof percentiles>;

export async function hitLatency(
  service: RunningService,
  owner: string,
  rate: number,
  seconds: number,
): Promise<HitLatency> {
  const random = new Random(SEEDS.hits + 1);
  const hitAt = new Map<string, number>();
  const onHit = (requestId: string) => void (hitAt.has(requestId) || hitAt.set(requestId, performance.now()));
  const stream = new OwnerStream(service.address, owner, random, onHit);
  try {
    for (let i = 0; i < WARM_UP; i++) await service.search(i, `warm-${i}`);
    await stream.caughtUp(0, LAST_MS);
    const dueAt = new Map<string, number>();
    const answeredAt = new Map<string, number>();
    let [failed, lateMs] = [0, 0];
    const began = performance.now();
    const searches: Promise<void>[] = [];
    for (let at = 0, i = 0; ; i++) {
      at += (-Math.log(1 - random.uniform()) / rate) * 1000;
      if (at >= seconds * 1000) break;
      const [due, requestId] = [began + at, `timed-${i}`];
      await new Promise((done) => setTimeout(done, Math.max(0, due - performance.now())));
      lateMs = Math.max(lateMs, performance.now() - due);
      dueAt.set(requestId, due);
      const answered = service.search(i, requestId).then(
        (isFound) => void (isFound && answeredAt.set(requestId, performance.now())),
        () => void failed++,
      );
      searches.push(answered);
    }
    await Promise.all(searches);
    const end = performance.now() + LAST_MS;
    while ([...answeredAt.keys()].some((id) => !hitAt.has(id)) && performance.now() < end)
      await new Promise((done) => setTimeout(done, 20));
    const timed = [...answeredAt].filter(([id]) => hitAt.has(id));
    const between = timed.map(([id, at]) => (hitAt.get(id) ?? NaN) - at).sort((a, b) => a - b);
    const quantile = (share: number) => Number((between[Math.floor(share * (between.length - 1))] ?? NaN).toFixed(1));
    return {
      'searches/s': rate,
      searches: dueAt.size,
      failed,
      hits: timed.length,
      'search to answer, ms': percentiles(timed.map(([id, at]) => at - (dueAt.get(id) ?? NaN))),
      'search to hit, ms': percentiles(timed.map(([id]) => (hitAt.get(id) ?? NaN) - (dueAt.get(id) ?? NaN))),
      'answer to hit, ms': { p50: quantile(0.5), p99: quantile(0.99) },
      'sent late by, ms': Math.round(lateMs),
    };
  } finally {
    await stream.stop();
  }
}
