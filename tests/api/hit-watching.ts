/** A stream of hits, as an agency's system reads it. */
import type { ClientReadableStream } from '@grpc/grpc-js';
import type { Hit, SharingClient, WatchHitsResponse } from '../../src/contract/generated/ridgewatch/v1/sharing.ts';
import { readServiceError, type ReceivedStatus } from '../../src/api/status.ts';

export interface Watching {
  /** All hits so far. */
  readonly hits: Hit[];
  /** Positions of all messages so far. */
  readonly positions: number[];
  /** Resolves with the hits when there are at least `count`. */
  until(count: number): Promise<Hit[]>;
  /** Resolves when the service has said that there are no more hits. */
  caughtUp(): Promise<void>;
  /** Resolves with the status that ends the stream. */
  readonly ended: Promise<ReceivedStatus>;
  stop(): void;
}

export function watch(sharing: SharingClient, afterPosition?: number): Watching {
  const stream: ClientReadableStream<WatchHitsResponse> = sharing.watchHits({ afterPosition });
  const hits: Hit[] = [];
  const positions: number[] = [];
  let isCaughtUp = false;
  const waiting = new Set<() => void>();
  const when = (isReached: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      void ended.then(({ reason }) => reject(new Error(`the stream has ended: ${reason}`)));
      const look = () => {
        if (!isReached()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const ended = new Promise<ReceivedStatus>((resolve) => {
    stream.on('error', (error) => resolve(readServiceError(error as never)));
  });
  stream.on('data', ({ hit, position }: WatchHitsResponse) => {
    if (hit === undefined) isCaughtUp = true;
    else hits.push(hit);
    positions.push(position);
    for (const look of [...waiting]) look();
  });
  return {
    hits,
    positions,
    until: async (count) => {
      await when(() => hits.length >= count);
      return hits;
    },
    caughtUp: () => when(() => isCaughtUp),
    ended,
    stop: () => stream.cancel(),
  };
}
