/** Records a second, and what a record adds to a call, by the number of callers. */
import { performance } from 'node:perf_hooks';
import type { AuditTrail } from '../../src/audit/audit-trail.ts';
import { inLoops } from '../harness/closed-loops.ts';
import { percentiles } from '../harness/percentiles.ts';
import { searchEntry } from './entries.ts';

export interface AuditLoad {
  readonly callers: number;
  readonly recordsPerSecond: number;
  /** Time of a record, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** CPU time of this process for a record, in microseconds. */
  readonly cpuUs: number;
}

export async function measure(trail: AuditTrail, callers: number, seconds: number): Promise<AuditLoad> {
  const times: number[] = [];
  const round = await inLoops(callers, seconds, async (i) => {
    const began = performance.now();
    await trail.record(searchEntry(`load-${callers}-${i}`));
    times.push(performance.now() - began);
  });
  const { p50, p99 } = percentiles(times);
  return {
    callers,
    recordsPerSecond: Math.round(round.done / round.seconds),
    p50,
    p99,
    cpuUs: Math.round((round.cpuMs * 1000) / round.done),
  };
}
