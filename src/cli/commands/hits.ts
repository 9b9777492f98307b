import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Band } from '../../contract/generated/ridgewatch/v1/sample.ts';
import { HitKind, type Hit } from '../../contract/generated/ridgewatch/v1/sharing.ts';
import { nameOf, purposeName } from '../../contract/wire-names.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { CallFailed } from '../failure-output.ts';
import { hitDocument } from '../hit-document.ts';
import { printResult } from '../output.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { StopSignals } from '../stop-signals.ts';

interface WatchOptions extends ConnectionOptions {
  readonly after?: number;
  readonly ack?: boolean;
  readonly once?: boolean;
}

/** Pause before a broken connection is made again, in milliseconds. */
const AGAIN_MS = 500;
/** Failures of the connection, not of what was asked. */
export const BROKEN = new Set([
  'CONNECTION_BROKEN',
  'SERVICE_UNREACHABLE',
  'STOPPING',
  'NOT_READY',
  'STORE_UNAVAILABLE',
]);

export async function watchHits(_: readonly string[], options: WatchOptions): Promise<number> {
  const signals = new StopSignals();
  const service = new ServiceClient(connectionOf(options));
  let position = options.after;
  let acknowledged = 0;
  let brokenAt: number | undefined;
  try {
    while (!signals.asked.aborted) {
      try {
        for await (const message of service.watchHits({ afterPosition: position }, signals.asked)) {
          brokenAt = undefined;
          if (message.hit !== undefined) await print(lineOf(message.hit, options.json === true));
          position = message.position;
          // Only where there is nothing more for the moment: hits come faster than acknowledgements.
          if (message.hit !== undefined) continue;
          if (options.ack === true && position > acknowledged)
            acknowledged = (await service.acknowledgeHits({ position })).position;
          if (options.once === true) return EXIT.ok;
        }
      } catch (error) {
        if (!(error instanceof CallFailed) || !BROKEN.has(error.status.reason ?? '')) throw error;
        brokenAt ??= Date.now();
        if (Date.now() - brokenAt > options.timeout * 1000) throw error;
        await delay(AGAIN_MS, undefined, { signal: signals.asked }).catch(() => undefined);
      }
    }
    return EXIT.ok;
  } finally {
    service.close();
    signals.close();
  }
}

export async function acknowledgeHits([position]: readonly unknown[], options: ConnectionOptions): Promise<number> {
  const service = new ServiceClient(connectionOf(options));
  try {
    const acknowledged = await service.acknowledgeHits({ position: Number(position) });
    printResult(options, acknowledged, `Acknowledged up to ${acknowledged.position}.`);
    return EXIT.ok;
  } finally {
    service.close();
  }
}

function lineOf(hit: Hit, isJson: boolean): string {
  const { band, purpose, kind } = hit;
  if (isJson) return JSON.stringify(hitDocument(hit));
  const { position, time, subjectId, searchingAgency, checkpointId, log10Fmr, silent, detailsLost } = hit;
  if (detailsLost) return `${position}  subject ${subjectId}: its audit record is gone or was changed`;
  const rate = `false match rate 10^${log10Fmr.toFixed(1)}`;
  const what = kind === HitKind.VERIFICATION ? 'compared' : nameOf(Band, band).replace('-', ' ');
  const told = silent ? '; silent: the searching client does not know' : '';
  return `${position}  ${time?.toISOString() ?? ''}  subject ${subjectId}  ${what}, ${rate}, at ${checkpointId} of ${searchingAgency} for ${purposeName(purpose)}${told}`;
}

/** A reader that is slow slows the stream down. */
async function print(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}
