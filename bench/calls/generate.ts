import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { tokenOf } from '../service/channel.ts';
import type { LoadOptions, LoadOrder, LoadReport } from './generator.ts';

/** Sends calls from separate processes, each an equal share. */
export async function generate(order: LoadOptions, processes = 1): Promise<LoadReport> {
  const reports = await Promise.all(
    Array.from({ length: processes }, (_, i) =>
      send({ ...order, seed: order.seed + i * 0x10001, rate: order.rate / processes }),
    ),
  );
  return merge(reports);
}

async function send(order: LoadOptions): Promise<LoadReport> {
  const generator = fork(join(import.meta.dirname, 'generator.ts'), { execArgv: [] });
  generator.send({ ...order, token: tokenOf(order.address) } satisfies LoadOrder);
  const [report] = (await once(generator, 'message')) as [LoadReport];
  generator.kill();
  return report;
}

function merge(reports: readonly LoadReport[]): LoadReport {
  const sum = (of: (report: LoadReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  const join = <T>(of: (report: LoadReport) => readonly T[]) => reports.flatMap(of);
  const failures: Record<string, number> = {};
  const byKind: Record<string, number[]> = {};
  for (const report of reports) {
    for (const [reason, count] of Object.entries(report.failures)) failures[reason] = (failures[reason] ?? 0) + count;
    for (const [kind, took] of Object.entries(report.byKind)) (byKind[kind] ??= []).push(...took);
  }
  return {
    sent: sum(({ sent }) => sent),
    answeredMs: join(({ answeredMs }) => answeredMs),
    byKind,
    partial: sum(({ partial }) => partial),
    failures,
    refusedMs: join(({ refusedMs }) => refusedMs),
    retryAfterMs: join(({ retryAfterMs }) => retryAfterMs),
    mated: sum(({ mated }) => mated),
    found: sum(({ found }) => found),
    latestSendMs: Math.max(...reports.map(({ latestSendMs }) => latestSendMs)),
  };
}
