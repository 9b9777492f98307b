import { REMOVED_SCORE } from '../kernels/kernels.ts';
import { isStopped } from '../workers/stop-signal.ts';
import { joined } from '../workers/joined-arrays.ts';
import type { ComparisonOrder } from '../workers/messages.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { SearchRun } from './candidate-source.ts';
import { comparisons } from './comparisons.ts';
import { InstanceRates } from './instance-rates.ts';
import { KnownScores } from './known-scores.ts';
import type { Probe } from './probe.ts';
import type { ScanPart } from './scan-parts.ts';

export interface ChosenComparisons {
  readonly rates: InstanceRates;
  readonly known: KnownScores;
  /** For each probe: the comparisons made. */
  readonly compared: number[];
  /** Share of the planned comparisons that was made. */
  readonly share: number;
}

/** The comparisons with the most similar subjects. */
export interface FirstComparisons extends Omit<ChosenComparisons, 'share'> {
  /** Number of these subjects. */
  readonly subjects: number;
}

/**
 * Comparisons with the subjects at the end of the shortlist stop below this support. Most non-mates have less, and
 * hardly any mates that would become candidates (figures: docs/architecture.md). A pair with
 * score 0 is compared again without this limit if its subject is proposed.
 */
const TAIL_MIN_SUPPORT = 1.5;

/**
 * Compares chosen references: first all references of the most similar subjects, and the most similar references of the
 * other subjects; then the remaining references of the subjects with a notable score.
 * @param order - see ComparisonOrder; one entry for each part
 * @param early - called after the comparisons with the most similar subjects; returns whether they are enough. Undefined:
 * no caller waits for them
 */
export async function compareChosen(
  pool: WorkerPool,
  probes: readonly Probe[],
  parts: readonly ScanPart[],
  order: ComparisonOrder,
  { tasks, stop, signal }: SearchRun,
  early?: (first: FirstComparisons) => Promise<boolean>,
): Promise<ChosenComparisons> {
  const compared = probes.map(() => 0);
  const rates = new InstanceRates();
  const known = new KnownScores(probes.length);
  const jobs = (references: readonly Uint32Array[], minSupport?: number) =>
    probes.flatMap(({ packed }, number) => {
      if (packed === undefined) return [];
      const ofProbe = parts.flatMap((part, p) =>
        part.number === number ? [{ segment: part.segment, indices: references[p], instance: part.instance }] : [],
      );
      const owners = joined(ofProbe.map(({ segment, indices }) => segment.ownersOf(indices)));
      const instances = joined(ofProbe.map(({ indices, instance }) => new Uint32Array(indices.length).fill(instance)));
      const indices = joined(ofProbe.map((piece) => piece.indices));
      const segments = joined(
        ofProbe.map((piece) => new Uint32Array(piece.indices.length).fill(piece.segment.handle.id)),
      );
      const table = pool.calibrations.rateTable(packed);
      return comparisons(pool, packed, ofProbe, stop.compare, minSupport, ({ compared: count, scores }, first) => {
        compared[number] += count;
        // No closure per score: there are thousands, and the main thread serves all searches.
        for (let k = 0; k < scores.length; k++) {
          if (scores[k] === REMOVED_SCORE) continue;
          rates.note(owners[first + k], instances[first + k], table.at(scores[k]));
          if (scores[k] > 0) known.note(number, segments[first + k], indices[first + k], scores[k]);
        }
      });
    });
  let meant = lengthOf(order.certain) + lengthOf(order.first);
  const shareNow = () => (meant === 0 ? 1 : compared.reduce((sum, count) => sum + count, 0) / meant);
  const areMore = lengthOf(order.first) + lengthOf(order.rest) > 0;
  if (early === undefined || !areMore)
    await tasks.all([...jobs(order.certain), ...jobs(order.first, TAIL_MIN_SUPPORT)]);
  else {
    await tasks.all(jobs(order.certain));
    signal.throwIfAborted();
    const subjects = ownersOf(parts, order.certain).size;
    if (!isStopped(stop.compare) && (await early({ rates, known, compared, subjects })))
      return { rates, known, compared, share: shareNow() };
    await tasks.all(jobs(order.first, TAIL_MIN_SUPPORT));
  }
  const promising = order.rest.map((references, p) => {
    const owners = parts[p].segment.ownersOf(references);
    return references.filter((_, k) => rates.isNotable(owners[k]));
  });
  await tasks.all(jobs(promising, TAIL_MIN_SUPPORT));
  signal.throwIfAborted();
  meant += lengthOf(promising);
  return { rates, known, compared, share: shareNow() };
}

function lengthOf(lists: readonly Uint32Array[]): number {
  return lists.reduce((sum, { length }) => sum + length, 0);
}

function ownersOf(parts: readonly ScanPart[], references: readonly Uint32Array[]): Set<number> {
  return new Set(references.flatMap((indices, p) => [...parts[p].segment.ownersOf(indices)]));
}
