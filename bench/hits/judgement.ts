/** Whether what came to the owner is what there was to come. */

/** A hit that came. */
export interface Arrival {
  /** Number of the stream that brought it. */
  readonly connection: number;
  /** Position that the service had confirmed before the stream was opened. */
  readonly acknowledgedBefore: number;
  readonly position: number;
  readonly hitId: string;
  readonly requestId: string;
}

/** A hit in the store. */
export interface KeptHit {
  readonly position: number;
  readonly hitId: string;
}

export interface Judgement {
  /** Hits that came, each counted once. */
  readonly told: number;
  /** Arrivals of hits that had come before: at least once means that there may be some. */
  readonly repeated: number;
  /** Hits in the store that never came. */
  readonly missed: number;
  /** Hits that came and are not in the store, or at another position. */
  readonly unknown: number;
  /** Searches answered with a candidate whose hit never came. */
  readonly answeredWithoutHit: number;
  /** Arrivals after one of a greater position in the same stream, or for the first time after one in any stream. */
  readonly outOfOrder: number;
  /** Arrivals that had been acknowledged before their stream began. */
  readonly againAfterAcknowledged: number;
}

/**
 * @param arrivals - in the order in which they came
 * @param answered - request ids of the searches answered with a candidate
 */
export function judge(
  arrivals: readonly Arrival[],
  kept: readonly KeptHit[],
  answered: ReadonlySet<string>,
): Judgement {
  const positionOf = new Map(kept.map(({ hitId, position }) => [hitId, position]));
  const told = new Map<string, number>();
  const requests = new Set<string>();
  let [greatest, last, connection] = [0, 0, -1];
  let [outOfOrder, unknown, againAfterAcknowledged] = [0, 0, 0];
  for (const arrival of arrivals) {
    const { position, hitId } = arrival;
    if (arrival.connection !== connection) [connection, last] = [arrival.connection, 0];
    const isNew = !told.has(hitId);
    if (position <= last || (isNew && position <= greatest)) outOfOrder++;
    if (positionOf.get(hitId) !== position) unknown++;
    if (position <= arrival.acknowledgedBefore) againAfterAcknowledged++;
    told.set(hitId, position);
    requests.add(arrival.requestId);
    [greatest, last] = [Math.max(greatest, position), position];
  }
  return {
    told: told.size,
    repeated: arrivals.length - told.size,
    missed: kept.filter(({ hitId }) => !told.has(hitId)).length,
    unknown,
    answeredWithoutHit: [...answered].filter((id) => !requests.has(id)).length,
    outOfOrder,
    againAfterAcknowledged,
  };
}
