import { createInterface } from 'node:readline/promises';
import { ExpungeSubjectResponse } from '../../api/generated/ridgewatch/v1/gallery.ts';
import { Failure } from '../../failure.ts';
import { ServiceClient } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { toProtoJson } from '../proto-json.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';

interface ExpungeOptions extends ConnectionOptions {
  readonly reason: string;
  readonly yes?: boolean;
}

/** Removes a subject for good, after asking. */
export async function expunge([subjectId = '']: string[], options: ExpungeOptions): Promise<number> {
  if (options.yes !== true && !(await agreed(subjectId))) {
    process.stderr.write('Nothing was removed.\n');
    return EXIT.refused;
  }
  const client = new ServiceClient(connectionOf(options));
  try {
    const response = await client.expunge({ subjectId, reason: options.reason });
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
