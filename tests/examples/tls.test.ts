/**
 * docs/examples: an authority created with openssl, the service's settings, and clients with and without a certificate.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SettingName } from '../../src/service-settings.ts';
import { runService, type RunningService } from '../api/running-service.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { LANGUAGES, run, template, titleOf, type ExampleRun } from './run-example.ts';

const SCRIPT = 'docs/examples/tls/make-authority.sh';
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!hasOpenssl)(`the example of TLS${hasOpenssl ? '' : ' (skipped: openssl is not on the path)'}`, () => {
  let cluster: TestCluster;
  let running: RunningService;
  let made: ExampleRun;
  const folder = join(temporaryDirectory(), 'certificates');
  const at = () => [
    '--address',
    `localhost:${running.service.grpcPort}`,
    '--timeout-ms',
    '30000',
    '--token-file',
    running.tokenFile,
  ];
  /** The client options that the script prints. */
  const clientOptions = () => (/^ {2}(--tls-ca .*)$/m.exec(made.stdout)?.[1] ?? '').split(' ');

  beforeAll(async () => {
    made = await run(SCRIPT, [folder]);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const settings = Object.fromEntries(
      [...made.stdout.matchAll(/^ {2}export (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    ) as Partial<Record<SettingName, string>>;
    expect(Object.keys(settings)).toHaveLength(3);
    cluster = await startTestCluster();
    running = await runService(await cluster.createDatabase(), settings);
  });
  afterAll(async () => {
    await running.stop();
    await cluster.stop();
  });

  it('leaves only keys and certificates, and overwrites none', async () => {
    expect(existsSync(join(folder, 'openssl.log'))).toBe(false);
    expect(await run(SCRIPT, [folder])).toMatchObject({ code: 1, stderr: `${folder} already exists.\n` });
    expect(await run(SCRIPT, [])).toMatchObject({ code: 1, stderr: 'Name a new folder for the certificates.\n' });
  });

  describe.each(LANGUAGES)('and its clients', (language) => {
    it.skipIf(language.missing !== undefined)(
      `are served with a certificate of the authority, and refused without one: ${titleOf(language)}`,
      async () => {
        const known = await language.run('enrol', [...at(), ...clientOptions(), ...template('enrolled')]);
        expect(known).toMatchObject({ code: 0 });
        const [flag, authority] = clientOptions();
        const without = await language.run('enrol', [...at(), flag, authority, ...template('enrolled')]);
        expect(without).toMatchObject({ code: 1, stdout: '' });
        // grpcio writes lines of its own before.
        expect(without.stderr).toMatch(/^UNAVAILABLE: .*\n$/m);
        const plain = await language.run('enrol', [...at(), ...template('enrolled')]);
        expect(plain).toMatchObject({ code: 1, stdout: '' });
        expect(plain.stderr).toMatch(/^UNAVAILABLE: .*\n$/m);
      },
    );
  });
});
