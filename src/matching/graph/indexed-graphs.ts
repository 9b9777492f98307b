import { openMemoryFile } from '../../files/memory-file.ts';
import type { IndexedGraph } from '../../index-files/graph-files.ts';
import { decodePrincipalDirections } from './directions-file.ts';
import { vectorDimension } from './reference-vectors.ts';
import type { SavedGraph } from './saved-graph.ts';

/**
 * A graph of an index, to begin with. Opening it decrypts it in memory.
 * @throws from `open` Failure NO_MEMORY_FILE, INDEX_DAMAGED, INDEX_FILE_MISSING; RangeError
 */
export function savedGraphOf(indexed: IndexedGraph): SavedGraph {
  const { partition, locations, bytes } = indexed;
  const open = async () => {
    const file = await openMemoryFile(bytes);
    try {
      const start = await indexed.read(file);
      return { file, directions: decodePrincipalDirections(start, vectorDimension(partition)) };
    } catch (error) {
      await file.close();
      throw error;
    }
  };
  return { locations, open };
}
