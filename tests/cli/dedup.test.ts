import { Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  GalleryService,
  type FindDuplicatesRequest,
  type FindDuplicatesResponse,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Band } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { ridgewatch } from './command.ts';

const ID = (n: number) => `00000000-0000-7000-8000-00000000000${n}`;
const FIRST: FindDuplicatesResponse = {
  pairs: [{ subjectId: ID(1), otherSubjectId: ID(2), log10Fmr: -20, fpir: 1e-9, band: Band.STRONG_CANDIDATE }],
  nextAfterSubjectId: ID(3),
  subjectsCovered: 3,
  subjectsNotComparable: 0,
  indexedSearches: 0,
  truncatedSubjects: 0,
  galleryVersion: 7,
};

/** Answers a first call, and refuses any other. */
const server = new Server();
let address: string;
beforeAll(async () => {
  server.addService(GalleryService, {
    findDuplicates: (
      { request }: ServerUnaryCall<FindDuplicatesRequest, FindDuplicatesResponse>,
      callback: sendUnaryData<FindDuplicatesResponse>,
    ) => {
      if (request.afterSubjectId === '') callback(null, FIRST);
      else callback({ code: status.RESOURCE_EXHAUSTED, details: 'Too many searches are waiting.' });
    },
  });
  address = await new Promise<string>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
});
afterAll(() => server.forceShutdown());

const run = (...args: string[]) => ridgewatch(['dedup', '--address', address, ...args]);

it('dedup prints what it has found when a later call fails, and where to continue', async () => {
  const { code, stdout, stderr } = await run('--json', '--exit-code');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    pairs: [{ subject_id: ID(1), other_subject_id: ID(2) }],
    subjects_covered: 3,
    next_after_subject_id: ID(3),
  });
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'RESOURCE_EXHAUSTED' } });
  const text = await run();
  expect(text.stdout).toContain(`Stopped by a failed call: continue with --after ${ID(3)}.`);
  expect(text.stderr).toContain('Too many searches are waiting.');
});

it('dedup prints nothing when the first call fails', async () => {
  expect(await run('--after', ID(1), '--json')).toMatchObject({ code: 1, stdout: '' });
});
