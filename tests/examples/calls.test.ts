/** docs/examples: enrolments and searches in each language, against a real service. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPEN_CALLS, openUnary } from '../api/open-access.ts';
import { IdentifyResponse } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { IdentificationServer } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Failure } from '../../src/failure.ts';
import { createApiServer } from '../api/api-server.ts';
import { runService, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { LANGUAGES, template, titleOf } from './run-example.ts';

let cluster: TestCluster;
let running: RunningService;
/** Long enough for a busy machine; no test waits that long. */
const PATIENT = ['--timeout-ms', '30000'];
const at = () => ['--address', `127.0.0.1:${running.service.grpcPort}`, '--token-file', running.tokenFile, ...PATIENT];

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

describe.each(LANGUAGES)('the examples of calls', (language) => {
  describe.skipIf(language.missing !== undefined)(titleOf(language), () => {
    const gallery = `gallery-${language.name}`;
    const requestId = `visit-${language.name}`;
    const enrolled = () =>
      language.run('enrol', [...at(), '--gallery', gallery, '--request-id', requestId, ...template('enrolled')]);
    const idIn = (text: string) => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(text)?.[0];

    beforeAll(async () => {
      expect(await enrolled()).toMatchObject({ code: 0, stderr: '' });
    });

    it('enrol a subject once, however often they run', async () => {
      const again = await enrolled();
      expect(again).toMatchObject({ code: 0, stderr: '' });
      expect(again.stdout).toContain('was enrolled before with 3 references');
    });

    it('find the subject by later captures, and print what was searched', async () => {
      const subject = idIn((await enrolled()).stdout);
      const args = [...at(), '--gallery', gallery, '--target-fpir', '0.001', ...template('later')];
      const { code, stdout, stderr } = await language.run('identify', args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('Searched 1 subjects (SEARCH_MODE_EXACT)');
      expect(stdout).toContain('in 0.1 % of searches');
      expect(stdout).toContain(`1. ${subject}: `);
      expect(stdout).toContain('BAND_STRONG_CANDIDATE');
    });

    it('show no candidate for an unenrolled person, and what that does not prove', async () => {
      const args = [...at(), '--gallery', gallery, ...template('stranger')];
      const { code, stdout } = await language.run('identify', args);
      expect(code).toBe(0);
      expect(stdout).toContain('No candidate. This does not say');
    });

    it('name the field at fault in a refused request, and the reason', async () => {
      const spoilt = join(temporaryDirectory(), 'spoilt.iso');
      writeFileSync(spoilt, 'FMR\0 20\0');
      const { code, stdout, stderr } = await language.run('identify', [
        ...at(),
        ...template('later', 'face.f32'),
        spoilt,
      ]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^INVALID_ARGUMENT \(TRUNCATED\): .*Fields at fault: samples\[1\]\.data\.\n$/);
      const unknown = await language.run('identify', [...at(), '--gallery', 'nowhere', ...template('later')]);
      expect(unknown.code).toBe(1);
      expect(unknown.stderr).toContain('FAILED_PRECONDITION (GALLERY_UNKNOWN)');
    });

    it('end with a sentence when the deadline passes, or no service answers', async () => {
      const hasty = await language.run('identify', [...at(), '--timeout-ms', '1', ...template('later')]);
      expect(hasty.code).toBe(1);
      expect(hasty.stderr).toMatch(/^DEADLINE_EXCEEDED.*\n$/);
      const nowhere = await language.run('enrol', ['--address', '127.0.0.1:1', ...template('enrolled')]);
      expect(nowhere.code).toBe(1);
      expect(nowhere.stderr).toMatch(/^UNAVAILABLE: .*\n$/);
      const missing = await language.run('identify', [...at(), 'nowhere.iso']);
      expect(missing.code).toBe(1);
      expect(missing.stderr).toContain('nowhere.iso');
    });

    it('retry after the delay that the service states, if that is before the deadline', async () => {
      let calls = 0;
      const refusing = (retryAfterMs: number) => () => {
        if (calls++ > 0) return Promise.resolve(IdentifyResponse.create({ subjectsSearched: 7, searchedFraction: 1 }));
        throw new Failure('resource-exhausted', 'QUEUE_FULL', 'Too many searches are waiting.', { retryAfterMs });
      };
      const ask = async (retryAfterMs: number) => {
        calls = 0;
        const identify = openUnary('Identification/Identify', OPEN_CALLS, refusing(retryAfterMs));
        const { server } = createApiServer({ identification: { identify } as unknown as IdentificationServer });
        const port = await server.listen('127.0.0.1', 0, undefined);
        try {
          return await language.run('identify', ['--address', `127.0.0.1:${port}`, ...PATIENT, ...template('later')]);
        } finally {
          await server.stop(0);
        }
      };
      const soon = await ask(20);
      expect(soon).toMatchObject({ code: 0 });
      expect(soon.stderr).toBe(
        'RESOURCE_EXHAUSTED (QUEUE_FULL): Too many searches are waiting. Try again in 20 ms. Trying again.\n',
      );
      expect(soon.stdout).toContain('Searched 7 subjects');
      expect(calls).toBe(2);
      const late = await ask(3_600_000);
      expect(late).toMatchObject({ code: 1, stdout: '' });
      expect(late.stderr).toContain('Try again in 3600000 ms.\n');
      expect(calls).toBe(1);
    });
  });
});
