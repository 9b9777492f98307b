import { GetContentHashResponse } from '../../contract/generated/ridgewatch/v1/operations.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';

/** Prints a hash of all searchable content of a service. */
export async function contentHash(_args: readonly string[], options: ConnectionOptions): Promise<number> {
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.contentHash();
    const { hash, galleryVersion, subjectCount } = response;
    const text =
      options.json === true
        ? JSON.stringify(toProtoJson(GetContentHashResponse.toJSON(response)))
        : `${hash}  gallery version ${galleryVersion}, ${subjectCount} subjects`;
    process.stdout.write(`${text}\n`);
    return EXIT.ok;
  } finally {
    client.close();
  }
}
