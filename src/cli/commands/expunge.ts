import { ExpungeSubjectResponse } from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { requireNew } from '../../files/durable-file.ts';
import { ServiceClient } from '../client.ts';
import { agreed } from '../confirmation.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../contract/proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { writeReceipt } from './receipt.ts';

interface ExpungeOptions extends ConnectionOptions {
  readonly reason: string;
  readonly yes?: boolean;
  readonly receipt?: string;
}

/** Removes a subject for good, after asking. */
export async function expunge([subjectId = '']: string[], options: ExpungeOptions): Promise<number> {
  if (!(await agreed(options, `Remove subject ${subjectId} and all its references for good?`))) {
    process.stderr.write('Nothing was removed.\n');
    return EXIT.refused;
  }
  // Expunging cannot be undone: check first that the receipt can be written.
  if (options.receipt !== undefined) requireNew(options.receipt);
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.expunge({ subjectId, reason: options.reason });
    if (options.receipt !== undefined) await writeReceipt(options.receipt, subjectId, response.receipt);
    const document = () => JSON.stringify(toProtoJson(ExpungeSubjectResponse.toJSON(response)));
    const sentence = () =>
      `Removed the subject and ${response.referencesRemoved} references (gallery version ${response.galleryVersion}).`;
    process.stdout.write(`${options.json ? document() : sentence()}\n`);
    return EXIT.ok;
  } finally {
    client.close();
  }
}
