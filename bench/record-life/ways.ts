/** Every way to search, as a list of the subjects that it finds. */
import { CandidateGraphs } from '../../src/matching/graph/candidate-graphs.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import type { ClassRules, Scope } from '../../src/gallery/scope.ts';
import { AdmissionQueue } from '../../src/matching/search/admission.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { EARLY_EFFORT, GraphSearch } from '../../src/matching/search/graph-search.ts';
import { identify, type FirstHit, type SearchResult } from '../../src/matching/search/identification.ts';
import { GraphSubjects } from '../../src/matching/search/graph-subjects.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { ScopeList } from '../../src/matching/search/scope-list.ts';
import { Searcher } from '../../src/matching/search/searcher.ts';
import { verifySubject } from '../../src/matching/search/verification.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { Kind, SoughtPerson } from './people.ts';
import { idOf, type World } from './world.ts';

export interface Search {
  readonly person: number;
  readonly sought: SoughtPerson;
  readonly kind: Kind;
  readonly scope: Scope;
}

export interface Found {
  readonly subjectIds: readonly string[];
  /** Nothing that may be found is missing. */
  readonly isComplete: boolean;
  /** The record that was compared, or searched with; undefined: a probe was. */
  readonly self?: string;
  /** Records that the answer says were searched; undefined: it does not say. */
  readonly searched?: number;
  /** Records that were read, where each has one reference that is compared. */
  readonly read?: number;
}

export interface Way {
  readonly find: (search: Search) => Promise<Found>;
  /** The instant of a search is that of the call. */
  readonly isAtOnce: boolean;
}

/** References that a search takes along without a graph: few, so that graphs are asked. */
const MAX_PENDING = 4;

/** All candidates: the threshold is that of any similarity at all. */
const EVERYONE = { maxCandidates: 100, threshold: { maxLog10Fmr: 0 }, standardFpir: 0.01 } as const;
const NO_CALLER = new AbortController().signal;
const PATIENCE = { signal: NO_CALLER, deadlineMs: Infinity };

/** The ways to search a world, and what ends their threads. */
export function waysOf(world: World, pool: WorkerPool) {
  const graphs = new CandidateGraphs(world.served, () => true, fail, { maxPending: MAX_PENDING });
  const nearest = new GraphSubjects(graphs);
  const exact = new ExactScan(pool);
  const codes = new IndexedScan(pool);
  const graph = new GraphSearch(pool, nearest, undefined, codes);
  const quick = new GraphSearch(pool, nearest, EARLY_EFFORT);
  const searcher = searcherOf(world, pool);
  const by = (source: CandidateSource) => through(world, pool, () => source);
  const early = (source: CandidateSource, first?: CandidateSource) =>
    through(world, pool, () => source, { quick: () => first, found: () => true });
  const ofGraph = (find: Way['find']) => later((search) => graphs.run().then(() => find(search)));
  const ways: Readonly<Record<string, Way>> = {
    exact: by(exact),
    codes: by(codes),
    graph: ofGraph(by(graph).find),
    listed: through(world, pool, (isListed) => (isListed ? new ScopeList(pool) : exact)),
    'early, codes': early(codes),
    'early, graph': ofGraph(early(codes, quick).find),
    service: later((search) => answered(searcher, search)),
    unshown: later((search) => unshown(searcher, search)),
    duplicates: later((search) => duplicates(searcher, search)),
    verification: later((search) => verified(world, pool, search)),
  };
  return { ways, close: () => graphs.stop() };
}

function fail(error: unknown): never {
  throw error;
}

function later(find: Way['find']): Way {
  return { find, isAtOnce: false };
}

function searcherOf(world: World, pool: WorkerPool): Searcher {
  const { served } = world;
  const audit = new IndexAudit(0, 0.999, served, pool, () => Promise.resolve(), fail);
  const admission = new AdmissionQueue(1, 8);
  const [planner, quarantine] = [new Planner(pool), new Quarantine()];
  return new Searcher({ served, planner, audit, pool, admission, quarantine, targetFpir: EVERYONE.standardFpir });
}

function through(
  world: World,
  pool: WorkerPool,
  source: (isListed: boolean) => CandidateSource,
  firstHit?: FirstHit,
): Way {
  const find = async ({ sought, kind, scope }: Search) => {
    const request = { ...EVERYONE, probes: sought.probes[kind], scope, firstHit };
    const choose = (view: { readonly listed: unknown }) => source(view.listed !== undefined);
    const result = await identify(world.served.current, choose, pool, request, NO_CALLER);
    const isCounted = kind === 'finger' && result.mode === 'exact' && result.searchedFraction === 1 && !result.isEarly;
    return { ...foundBy(result), ...(isCounted && { read: result.compared[0] }) };
  };
  return { find, isAtOnce: true };
}

function foundBy({ candidates, isEarly, searchedFraction, subjectsSearched }: SearchResult): Found {
  const subjectIds = candidates.map(({ subject }) => subject.subjectId);
  return { subjectIds, isComplete: !isEarly && searchedFraction === 1, searched: subjectsSearched };
}

const queryOf = ({ sought, kind, scope }: Search) => ({
  ...{ samples: sought.samples[kind], galleries: [...scope.galleries] },
  ...{ maxCandidates: EVERYONE.maxCandidates, threshold: EVERYONE.threshold },
  ...{ isExact: false, explain: false, allowPartial: false, firstHit: false },
});

function rulesOf({ classes, ofAge, minors }: Scope): ClassRules {
  return { classes, ofAge, minors };
}

async function answered(searcher: Searcher, search: Search): Promise<Found> {
  return foundBy((await searcher.identify({ ...queryOf(search), ...rulesOf(search.scope) }, PATIENCE)).result);
}

/** The records that a search finds beside those that it shows, for their owners alone. */
async function unshown(searcher: Searcher, search: Search): Promise<Found> {
  const rules = rulesOf(search.scope);
  const answer = await searcher.identify({ ...queryOf(search), ...rules, unshown: rules }, PATIENCE);
  // Their threshold is the service's own.
  return answer.unshown === undefined
    ? { subjectIds: [], isComplete: true }
    : { ...foundBy(answer.unshown), isComplete: false };
}

async function duplicates(searcher: Searcher, { person, scope }: Search): Promise<Found> {
  const self = idOf(person, 0);
  const query = { scope, maxDuplicates: 50, threshold: EVERYONE.threshold };
  const found = await searcher.duplicatesOf(self, query, PATIENCE);
  if (found === 'gone' || found === 'not-comparable') return { subjectIds: [], isComplete: false, self };
  const others = found.duplicates.map(({ subject }) => subject.subjectId);
  return { subjectIds: [self, ...others], isComplete: true, self };
}

async function verified(world: World, pool: WorkerPool, { person, sought, kind, scope }: Search): Promise<Found> {
  const subjectId = idOf(person, 0);
  const result = await verifySubject(world.served.current, pool, [...sought.probes[kind]], subjectId, scope);
  return { subjectIds: result === undefined ? [] : [subjectId], isComplete: false, self: subjectId };
}
