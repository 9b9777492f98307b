import type { ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import type { CandidateGraphs } from '../graph/candidate-graphs.ts';
import { GraphLostError } from '../graph/graph-thread.ts';
import type { GalleryGraphs } from '../graph/gallery-graphs.ts';
import { probeVector } from '../graph/reference-vectors.ts';
import type { NearestSubjects } from './nearest-subjects.ts';
import { partitionsFor, type Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';

/** Finds similar subjects in the graphs of the partitions that the probes are compared with. */
export class GraphSubjects implements NearestSubjects {
  readonly #graphs: CandidateGraphs;

  constructor(graphs: CandidateGraphs) {
    this.#graphs = graphs;
  }

  covers(probes: readonly Probe[], view: SearchView): boolean {
    const graphs = this.#graphsOf(view);
    return graphs !== undefined && partitionsOf(probes).every(([, name]) => graphs.covers(name));
  }

  expectedMs(probes: readonly Probe[], view: SearchView, ef: number): number {
    const graphs = this.#graphsOf(view);
    return partitionsOf(probes).reduce((sum, [, name]) => sum + (graphs?.expectedMs(name, ef) ?? 0), 0);
  }

  /**
   * @throws GraphLostError where a graph has failed, or was dropped, since it covered the probes: the search must go on
   * without graphs; the signal's reason
   */
  async nearest(
    probes: readonly Probe[],
    view: SearchView,
    ef: number,
    signal: AbortSignal,
  ): Promise<readonly SubjectEntry[]> {
    signal.throwIfAborted();
    const graphs = this.#graphsOf(view);
    if (graphs === undefined) throw new GraphLostError('the gallery has no graphs');
    const found = new Set<SubjectEntry>();
    await Promise.all(
      partitionsOf(probes).map(async ([probe, name]) => {
        if (probe.packed === undefined) return;
        const similar = await graphs.similar(name, probeVector(probe.packed), ef, signal);
        for (const { subject, location } of similar)
          if (!found.has(subject) && isInView(view, probe, subject, location)) found.add(subject);
      }),
    );
    signal.throwIfAborted();
    // At last: subjects may have been expunged while another graph was searched.
    return [...found].filter((subject) => view.isPresent(subject));
  }

  #graphsOf(view: SearchView): GalleryGraphs | undefined {
    return this.#graphs.graphsOf((gallery) => view.isOf(gallery));
  }
}

/** Each partition that a probe is compared with. A probe with too few minutiae is compared with none. */
function partitionsOf(probes: readonly Probe[]) {
  return probes
    .filter(({ packed }) => packed !== undefined)
    .flatMap((probe) => partitionsFor(probe.template).map((name) => [probe, name] as const));
}

/** Whether the search reads this reference: false if it was enrolled, or replaced, at another version. */
function isInView(view: SearchView, probe: Probe, subject: SubjectEntry, { referenceId }: ReferenceLocation): boolean {
  return view.referencesFor(probe, subject).some((reference) => reference.referenceId === referenceId);
}
