import { createInterface } from 'node:readline/promises';
import { ExpungeSubjectResponse } from '../../api/generated/ridgewatch/v1/gallery.ts';
import { requireNew } from '../../durable-file.ts';
import { Failure } from '../../failure.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../../api/proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { writeReceipt } from './receipt.ts';

interface ExpungeOptions extends ConnectionOptions {
  readonly reason: string;
  readonly yes?: boolean;
  readonly receipt?: string;
}

/** Removes a subject for good, after asking. */
export async function expunge([subjectId = '']: string[], options: ExpungeOptions): Promise<number> {
  if (options.yes !== true && !(await agreed(subjectId))) {
    process.stderr.write('Nothing was removed.\n');
    return EXIT.refused;
  }
  // What was removed stays removed: whether the receipt has a place is asked before.
  if (options.receipt !== undefined) requireNew(options.receipt);
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.expunge({ subjectId, reason: options.reason });
    if (options.receipt !== undefined) writeReceipt(options.receipt, response.receipt);
    const document = () => JSON.stringify(toProtoJson(ExpungeSubjectResponse.toJSON(response)));
    const sentence = () =>
      `Removed the subject and ${response.referencesRemoved} references (gallery version ${response.galleryVersion}).`;
    process.stdout.write(`${options.json ? document() : sentence()}\n`);
    return EXIT.ok;
  } finally {
    client.close();
  }
}

async function agreed(subjectId: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Failure(
      'invalid-argument',
      'CONFIRMATION_REQUIRED',
      'Nobody can be asked here: say --yes to remove the subject.',
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`Remove subject ${subjectId} and all its references for good? Type yes: `);
    return answer.trim() === 'yes';
  } finally {
    terminal.close();
  }
}
