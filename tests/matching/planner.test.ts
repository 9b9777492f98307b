/** The choice of the candidate source, and the costs that it is made by. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { EARLY_EFFORT, GraphSearch, type GraphEffort } from '../../src/matching/search/graph-search.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { identify } from '../../src/matching/search/identification.ts';
import { Planner, type CandidateRule } from '../../src/matching/search/planner.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { ExactNeighbours } from './exact-neighbours.ts';
import { galleryOf, probesOf, requestFor } from './people-gallery.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

const RULES: readonly CandidateRule[] = ['auto', 'codes', 'graph', 'exact'];
const WAYS: Readonly<Record<CandidateRule, readonly (string | undefined)[]>> = {
  auto: [undefined, 'codes', 'graph'],
  codes: [undefined, 'codes'],
  graph: [undefined, 'codes', 'graph'],
  exact: [undefined],
};

let pool: WorkerPool;
let probes: Probe[];
let view: SearchView;
beforeAll(async () => {
  pool = new WorkerPool(1);
  probes = await probesOf(pool, 1);
  const gallery = galleryOf(50);
  view = new SearchView(gallery, probes, EVERYTHING, gallery.now());
});
afterAll(async () => {
  view.close();
  await pool.close();
});

/** The same view as if it had this many references of each finger. */
function viewOf(references: number, scopeShare = 1): SearchView {
  const [range] = view.rangesFor(probes[0]);
  return Object.assign(Object.create(view) as SearchView, {
    rangesFor: () => [{ ...range, end: references }],
    partitionCountFor: () => 1,
    ordinals: references,
    population: references,
    scopeShare,
    filter: undefined,
    listed: undefined,
  });
}

describe('the planner', () => {
  const chosen = (rule: CandidateRule, graphs: ExactNeighbours | undefined, of: SearchView, exact = false) =>
    new Planner(pool, { candidates: rule, graphs }).choose(probes, of, exact);

  it('uses only the sources that its rule allows, and none that may miss a mate where exactness is required', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        fc.boolean(),
        fc.double({ min: 0, max: 100, noNaN: true }),
        (references, share, isCovering, exact, cost) => {
          const graphs = Object.assign(new ExactNeighbours(), { isCovering, cost });
          for (const rule of RULES) {
            const { mode, way } = chosen(rule, graphs, viewOf(references, share), exact);
            expect(mode === 'exact').toBe(way === undefined);
            expect(WAYS[rule]).toContain(way);
            if (exact) expect(way).toBeUndefined();
            if (way === 'graph') expect(isCovering && share >= 0.5).toBe(true);
            expect(chosen(rule, undefined, viewOf(references, share), exact).way).not.toBe('graph');
          }
        },
      ),
    );
  });

  it('takes graphs by the rule `graph` wherever they cost less than an exact search, however little that costs', () => {
    const graphs = new ExactNeighbours();
    // An exact search of four thousand fingers takes a quarter of a second, one of three hundred a few milliseconds.
    expect(chosen('graph', graphs, viewOf(4000)).way).toBe('graph');
    expect(chosen('graph', Object.assign(new ExactNeighbours(), { cost: 1 }), viewOf(300)).mode).toBe('exact');
    expect(chosen('auto', graphs, viewOf(1000)).mode).toBe('exact');
    graphs.isCovering = false;
    expect(chosen('graph', graphs, viewOf(1_000_000)).way).toBe('codes');
  });

  it('takes whichever index costs less by the rule `auto`', () => {
    const graphs = new ExactNeighbours();
    const large = viewOf(100_000);
    const codes = new IndexedScan(pool).expectedMs(probes, large);
    const graph = chosen('graph', graphs, large).expectedMs(probes, large);
    expect(graph).toBeLessThan(codes);
    expect(chosen('auto', graphs, large).way).toBe('graph');
    expect(chosen('codes', graphs, large).way).toBe('codes');
    // The graphs' own time for the two fingers, at an effort of 800.
    graphs.cost = (1.01 * (codes - graph)) / 800;
    expect(chosen('auto', graphs, large).way).toBe('codes');
    graphs.cost = (0.99 * (codes - graph)) / 800;
    expect(chosen('auto', graphs, large).way).toBe('graph');
  });

  it('expects graphs to make more effort in a larger gallery, where the same effort finds a smaller share', () => {
    const graphs = Object.assign(new ExactNeighbours(), { cost: 1e6 });
    const effort = (references: number, given?: GraphEffort) =>
      new GraphSearch(pool, graphs, given).expectedMs(probes, viewOf(references)) / 1e6;
    expect(effort(20_000)).toBeCloseTo(800, 0);
    expect(effort(100_000)).toBeCloseTo(800, 0);
    expect(effort(1_000_000)).toBeCloseTo(8000, 0);
    // Of an early answer more is not expected.
    expect(effort(1_000_000, EARLY_EFFORT)).toBeCloseTo(100, 0);
  });

  it('asks graphs first for an early answer, with less effort, where that takes less than half the time', () => {
    const graphs = new ExactNeighbours();
    const large = viewOf(1_000_000);
    const planner = new Planner(pool, { candidates: 'auto', graphs });
    const source: CandidateSource = planner.choose(probes, large, false);
    const quick = planner.quick(probes, large, source);
    expect(quick?.way).toBe('graph');
    expect(quick?.expectedMs(probes, large)).toBeLessThan(source.expectedMs(probes, large) / 4);
    const small = viewOf(20);
    expect(planner.quick(probes, small, planner.choose(probes, small, false))).toBeUndefined();
    expect(new Planner(pool, { candidates: 'codes', graphs }).quick(probes, large, source)).toBeUndefined();
    graphs.isCovering = false;
    expect(planner.quick(probes, large, source)).toBeUndefined();
  });
});

describe('the measured costs', () => {
  it('of choosing and of ranking by whole vectors are two parts of one time, and neither is counted twice', async () => {
    const gallery = galleryOf(300);
    const own = await probesOf(pool, 7);
    const notes = {
      choose: vi.spyOn(pool.costs.choose, 'note'),
      rerank: vi.spyOn(pool.costs.rerank, 'note'),
      task: vi.spyOn(pool, 'choose'),
    };
    const source = new IndexedScan(pool, { min: 20, perCandidate: 1, share: 0, ranked: 2 });
    await identify(gallery, () => source, pool, requestFor(own), new AbortController().signal);
    const { busyMs, reranked } = (await notes.task.mock.results[0]?.value) as Awaited<ReturnType<WorkerPool['choose']>>;
    const [choosing, ranking] = [notes.choose.mock.calls[0], notes.rerank.mock.calls[0]];
    vi.restoreAllMocks();
    expect(ranking?.[0]).toBeGreaterThan(0);
    expect((choosing?.[0] ?? 0) + (ranking?.[0] ?? 0)).toBeCloseTo(busyMs, 6);
    // Both fingers of the subjects that the codes chose, and of those that tie with the last one.
    expect(ranking?.[1]).toBe(reranked.references);
    expect(reranked.references).toBeGreaterThanOrEqual(80);
    expect(reranked.references).toBeLessThan(300);
    // A value for each reference, and one for each subject and finger.
    expect(choosing?.[1]).toBe(4 * 300);
  });

  it('of ranking change the estimate of an indexed search', () => {
    const own = new WorkerPool(1);
    const source = new IndexedScan(own);
    const large = viewOf(1_000_000);
    const before = source.expectedMs(probes, large);
    own.costs.rerank.note(50_000, 5_000_000);
    expect(source.expectedMs(probes, large)).toBeGreaterThan(2 * before);
    return own.close();
  });
});
