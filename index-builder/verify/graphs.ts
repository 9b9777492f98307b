/** Checks that the graphs of an index find its references. */
import { partitionKey, type ReferenceLocation } from '../../src/gallery/catalogue.ts';
import { pathOfFile } from '../../src/files/memory-file.ts';
import { damaged } from '../../src/files/block-file.ts';
import { graphFile, type IndexedGraph } from '../../src/index-files/graph-files.ts';
import { GraphThread } from '../../src/matching/graph/graph-thread.ts';
import { vectorAt, vectorDimension } from '../../src/matching/graph/reference-vectors.ts';
import { savedGraphOf } from '../../src/matching/graph/indexed-graphs.ts';

/** ef of the searches. A reference that is not found by its own vector with this is hardly ever found by a mate's. */
const EF = 64;

export interface GraphFindings {
  /** References searched in the graphs by their own vector. */
  readonly sought: number;
  /** Those that were found, or another one with the same vector. */
  readonly found: number;
}

/**
 * @param sample - number of references searched in each graph, evenly spread; Infinity: all
 * @throws Failure INDEX_DAMAGED, NO_MEMORY_FILE
 */
export async function seekInGraphs(
  graphs: readonly IndexedGraph[],
  sample: number,
  onProgress: (done: number, total: number) => void,
): Promise<GraphFindings> {
  const wanted = graphs.map(({ locations }) => Math.min(sample, locations.length));
  const total = wanted.reduce((sum, count) => sum + count, 0);
  let [sought, found] = [0, 0];
  for (const [i, graph] of graphs.entries()) {
    const thread = await load(graph);
    try {
      for (let k = 0; k < wanted[i]; k++) {
        const label = Math.floor((k * graph.locations.length) / wanted[i]);
        if (await finds(thread, graph.locations, label)) found++;
        onProgress(++sought, total);
      }
    } finally {
      await thread.stop();
    }
  }
  return { sought, found };
}

async function load(graph: IndexedGraph): Promise<GraphThread> {
  const { file, directions } = await savedGraphOf(graph).open();
  const thread = new GraphThread(() => undefined);
  try {
    const { places } = await thread.change({ kind: 'load', path: pathOfFile(file), directions });
    if (places !== graph.locations.length)
      throw damaged(graphFile(partitionKey(graph.partition)), 'it has other references');
    return thread;
  } catch (error) {
    await thread.stop();
    throw error;
  } finally {
    await file.close();
  }
}

async function finds(thread: GraphThread, locations: readonly ReferenceLocation[], label: number): Promise<boolean> {
  const dimension = vectorDimension(locations[label].partition);
  const vector = vectorAt(locations[label], dimension);
  if (vector === undefined) return false;
  const { labels } = await thread.search({ kind: 'search', vector, ef: EF }, new AbortController().signal);
  // A template enrolled several times has vectors that no graph can tell apart.
  return labels.some((one) => {
    const listed = vectorAt(locations[one], dimension);
    return listed !== undefined && Buffer.from(vector).equals(Buffer.from(listed));
  });
}
