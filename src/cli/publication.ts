/** After publishing: whether a service that runs takes the index, which depends on where it looks for it. */
import { resolve } from 'node:path';
import { ServiceClient, type ConnectionSettings } from './client.ts';
import { CallFailed } from './failure-output.ts';

export interface Publication {
  /** Where the index was published. */
  readonly directory: string;
  /** Where a service was asked. */
  readonly address: string;
  /** `taken`: it searches the index. `other`: it does not. `refused`: it will not, and says why. `unknown`: none answers. */
  readonly service: 'taken' | 'other' | 'refused' | 'unknown';
  readonly sentence: string;
}

/** Makes the service take what is published, which it does by itself within a second, and looks whether it is this. */
export async function afterPublishing(
  indexDir: string,
  published: string,
  connection: ConnectionSettings,
): Promise<Publication> {
  const directory = resolve(indexDir);
  const at = { directory, address: connection.address };
  const first = `${published} is published in ${directory}.`;
  let client: ServiceClient | undefined;
  try {
    client = new ServiceClient(connection);
    const { indexName } = await client.reloadIndex();
    if (indexName === published) {
      return { ...at, service: 'taken', sentence: `${first} The service at ${connection.address} searches it now.` };
    }
    const what = indexName === '' ? 'no index' : indexName;
    const sentence = `${first} The service at ${connection.address} does NOT take it: it searches ${what}, and looks in another directory (its RIDGEWATCH_INDEX_DIR).`;
    return { ...at, service: 'other', sentence };
  } catch (error) {
    if (error instanceof CallFailed && error.status.reason?.startsWith('INDEX_') === true) {
      const why = `${error.status.reason}: ${error.message}`;
      return {
        ...at,
        service: 'refused',
        sentence: `${first} The service at ${connection.address} does NOT take it (${why})`,
      };
    }
    // Publishing is done; that a service runs, and where, is not needed for it.
    const why = error instanceof Error ? error.message : '';
    const sentence = `${first} Services that look there take it, or will when they start. None could be asked: ${why}`;
    return { ...at, service: 'unknown', sentence };
  } finally {
    client?.close();
  }
}
