/** What graphs approximate: the most similar references, by all inner products. */
import type { SubjectEntry } from '../../src/gallery/catalogue.ts';
import { vectorOf } from '../../src/matching/kernels/similarity.ts';
import type { NearestSubjects } from '../../src/matching/search/nearest-subjects.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import type { SearchView } from '../../src/matching/search/search-view.ts';

export class ExactNeighbours implements NearestSubjects {
  isCovering = true;
  /** Of `nearest`, in ms. */
  cost = 0;
  /** Lists asked for: modality of the probes and ef. */
  readonly asked: string[] = [];
  /** Called before a list is returned. */
  before: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  covers(): boolean {
    return this.isCovering;
  }

  expectedMs(_probes: readonly Probe[], _view: SearchView, ef: number): number {
    return this.cost * ef;
  }

  async nearest(probes: readonly Probe[], view: SearchView, ef: number, signal: AbortSignal) {
    this.asked.push(`${probes[0]?.template.modality ?? ''} ${ef}`);
    await this.before(signal);
    signal.throwIfAborted();
    return [...new Set(probes.flatMap((probe) => listOf(probe, view, ef)))];
  }
}

function listOf(probe: Probe, view: SearchView, ef: number): SubjectEntry[] {
  const { packed } = probe;
  if (packed === undefined) return [];
  const vector = (bytes: Uint8Array) => (packed.modality === 'finger' ? vectorOf(bytes) : Int8Array.from(bytes));
  const own = vector(packed.packed);
  const found = view.rangesFor(probe).flatMap(({ segment, end }) =>
    Array.from({ length: end }, (_, index) => index)
      .filter((index) => segment.isLive(index))
      .map((index) => {
        const other = vector(segment.packed(index));
        const product = own.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0);
        return { subject: view.subjectWithOrdinal(segment.ownerOf(index)), product };
      }),
  );
  return found
    .toSorted((a, b) => b.product - a.product)
    .slice(0, ef)
    .flatMap(({ subject }) => subject ?? []);
}
