/** Checks after publishing whether a running service takes the index: it may use another index directory. */
import { resolve } from 'node:path';
import { ServiceClient, type ConnectionSettings } from './client.ts';
import { CallFailed } from './failure-output.ts';

export interface Publication {
  /** Directory of the published index. */
  readonly directory: string;
  /** Address of the service that was asked. */
  readonly address: string;
  /** `taken`: the service searches the index; `other`: another one; `refused`: with a reason; `unknown`: no answer. */
  readonly service: 'taken' | 'other' | 'refused' | 'unknown';
  readonly sentence: string;
}

/** Makes the service load the published index now instead of within a second, and checks that it is this one. */
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
    const sentence = `${first} The service at ${connection.address} does NOT use it: it searches ${what}, and has another index directory (its RIDGEWATCH_INDEX_DIR).`;
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
    // The index is published; that needs no running service.
    const why = error instanceof Error ? error.message : '';
    const sentence = `${first} Services that use this directory switch to it, or load it when they start. None could be asked: ${why}`;
    return { ...at, service: 'unknown', sentence };
  } finally {
    client?.close();
  }
}
