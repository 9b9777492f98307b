import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PolicySet } from '../../src/access/policy-set.ts';
import { readConfiguration } from '../../src/configuration.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { beginPolicies } from '../../src/service/access.ts';
import { startService } from '../../src/service/service.ts';
import { temporaryDirectory } from '../cluster.ts';

const log = createLogger('fatal', { write: () => undefined });

function brokenPolicies(): string {
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'own.cedar'), 'permit (');
  return folder;
}

describe('policies that are read while a service starts', () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  beforeAll(() => void process.on('unhandledRejection', note));
  afterAll(() => void process.off('unhandledRejection', note));

  it('are those of the configured folder, or refused', async () => {
    const policies = await beginPolicies({ policies: undefined }, log);
    expect(policies.current).toBeInstanceOf(PolicySet);
    await expect(beginPolicies({ policies: brokenPolicies() }, log)).rejects.toMatchObject({
      reason: 'POLICIES_INVALID',
    });
  });

  it('do not end the process where the start fails before they are needed', async () => {
    const configuration = readConfiguration(
      {},
      {
        DATABASE_URL: 'postgresql://user@127.0.0.1:1/none',
        RIDGEWATCH_DATA_DIR: temporaryDirectory(),
        RIDGEWATCH_POLICIES: brokenPolicies(),
        RIDGEWATCH_GRPC_PORT: '0',
        RIDGEWATCH_HTTP_PORT: '0',
        RIDGEWATCH_WORKERS: '1',
      },
    );
    await expect(startService(configuration, log)).rejects.not.toMatchObject({ reason: 'POLICIES_INVALID' });
    await expect(beginPolicies(configuration, log)).rejects.toMatchObject({ reason: 'POLICIES_INVALID' });
    await nextTurn();
    expect(unhandled).toEqual([]);
  });
});
