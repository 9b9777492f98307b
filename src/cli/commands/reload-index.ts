import { ReloadIndexResponse } from '../../contract/generated/ridgewatch/v1/operations.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';

/** Makes a service load the published index now. */
export async function reloadIndex(_args: readonly string[], options: ConnectionOptions): Promise<number> {
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.reloadIndex();
    const { switched, indexName, indexSequence, galleryVersion } = response;
    const sentence =
      indexName === ''
        ? 'No index is published; the gallery was loaded from the store.'
        : `The service ${switched ? 'has switched to' : 'already searches'} ${indexName} (change ${indexSequence}); the gallery is at version ${galleryVersion}.`;
    const text = options.json === true ? JSON.stringify(toProtoJson(ReloadIndexResponse.toJSON(response))) : sentence;
    process.stdout.write(`${text}\n`);
    return EXIT.ok;
  } finally {
    client.close();
  }
}
