/**
 * Time to the first answer of mated searches that accept an early one, by what proposes the candidates: codes, and graphs
 * before codes. Each person is searched by all of them in turn, and each search is completed after its early answer.
 */
import type { Gallery } from '../../src/gallery/gallery.ts';
import { CandidateGraphs } from '../../src/matching/graph/candidate-graphs.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { EARLY_EFFORT, GraphSearch } from '../../src/matching/search/graph-search.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { GraphSubjects } from '../../src/matching/search/graph-subjects.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { searchAll } from '../gallery/search.ts';
import { percentiles } from '../harness/percentiles.ts';
import { inWords } from '../harness/words.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';

/** False positive identification rate of the searches. */
const FPIR = 0.01;
/** Searches before the measurement: kernels are compiled, and memory is paged in. */
const WARM_UP = 5;

interface Way {
  readonly name: string;
  readonly quick: CandidateSource | undefined;
  /** Elapsed ms. */
  readonly first: number[];
  readonly complete: number[];
  early: number;
  /** Early answers whose first candidate is the mate. */
  mates: number;
}

/**
 * Prints a table.
 * @param mated - people `m0`, `m1`, … of the gallery that are searched for
 * @param areGraphsBuilt - whether to measure graphs, too
 */
export async function printFirstHits(
  gallery: Gallery,
  pool: WorkerPool,
  mated: number,
  samples: Samples,
  areGraphsBuilt: boolean,
  isJson: boolean,
): Promise<void> {
  const codes = new IndexedScan(pool);
  const ways: Way[] = [wayOf('codes', undefined)];
  const graphs = areGraphsBuilt ? await builtGraphs(gallery) : undefined;
  if (graphs !== undefined)
    ways.push(wayOf('graphs, then codes', new GraphSearch(pool, new GraphSubjects(graphs), EARLY_EFFORT)));
  const search = async (person: number, way: Way, isCounted: boolean) => {
    const probes = await probesOf(pool, person, samples);
    const started = performance.now();
    let first: number | undefined;
    await searchAll(gallery, pool, probes, () => codes, {
      threshold: { targetFpir: FPIR },
      firstHit: {
        quick: () => way.quick,
        found: ({ candidates }) => {
          first = performance.now() - started;
          if (!isCounted) return false;
          way.early++;
          if (candidates[0]?.subject.subjectId === `m${person}`) way.mates++;
          return false;
        },
      },
    });
    if (!isCounted) return;
    const complete = performance.now() - started;
    way.first.push(first ?? complete);
    way.complete.push(complete);
  };
  for (let i = 0; i < WARM_UP; i++) for (const way of ways) await search(mated + i, way, false);
  for (let person = 0; person < mated; person++) for (const way of ways) await search(person, way, true);
  await graphs?.stop();
  const rows = ways.map(({ name, first, complete, early, mates }) => {
    const [ofFirst, ofComplete] = [percentiles(first), percentiles(complete)];
    return {
      way: name,
      searches: mated,
      'early answers': early,
      'of them, the mate first': mates,
      'first answer ms, p50': ofFirst.p50,
      'first answer ms, p99': ofFirst.p99,
      'complete ms, p50': ofComplete.p50,
      'complete ms, p99': ofComplete.p99,
    };
  });
  if (isJson) console.log(JSON.stringify(rows));
  else console.table(inWords(rows));
}

/** Graphs of all partitions, with every reference. */
async function builtGraphs(gallery: Gallery): Promise<CandidateGraphs> {
  const graphs = new CandidateGraphs(
    { current: gallery },
    () => true,
    (error) => {
      throw error;
    },
  );
  await graphs.run();
  return graphs;
}

function wayOf(name: string, quick: CandidateSource | undefined): Way {
  return { name, quick, first: [], complete: [], early: 0, mates: 0 };
}
