import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConfiguration, renderSettings } from '../../src/configuration.ts';
import { Failure } from '../../src/failure.ts';

describe('the configuration', () => {
  it('has a default for every setting', () => {
    expect(readConfiguration({})).toMatchObject({
      databaseUrl: undefined,
      grpcHost: '127.0.0.1',
      grpcPort: 50151,
      targetFpir: 0.01,
      targetHitRate: 0.999,
      candidates: 'auto',
      indexAuditShare: 0.01,
      faceModels: [{ id: 'synthetic-512', dimension: 512 }],
      demo: 'auto',
    });
  });

  it('prefers overrides to the environment, and treats an empty value as not given', () => {
    const env = { RIDGEWATCH_GRPC_PORT: '1', RIDGEWATCH_HTTP_PORT: '', RIDGEWATCH_FACE_MODELS: 'a:64, b-2:2048' };
    const configuration = readConfiguration(env, { RIDGEWATCH_GRPC_PORT: '2' });
    expect([configuration.grpcPort, configuration.httpPort, configuration.faceModels.length]).toEqual([2, 9151, 2]);
  });

  it.each([
    ['RIDGEWATCH_GRPC_PORT', '70000'],
    ['RIDGEWATCH_GRPC_PORT', '5x'],
    ['RIDGEWATCH_WORKERS', '0'],
    ['RIDGEWATCH_TARGET_FPIR', '1'],
    ['RIDGEWATCH_TARGET_FPIR', 'often'],
    ['RIDGEWATCH_FACE_MODELS', 'a'],
    ['RIDGEWATCH_FACE_MODELS', 'a:100'],
    ['RIDGEWATCH_FACE_MODELS', 'a:64,a:128'],
    ['RIDGEWATCH_CANDIDATES', 'graphs'],
    ['RIDGEWATCH_DEMO', 'sometimes'],
    ['RIDGEWATCH_ALLOW_PLAINTEXT', 'yes'],
    ['RIDGEWATCH_LOG_LEVEL', 'loud'],
    ['RIDGEWATCH_GRPC_PROT', '1'],
  ])('refuses %s=%s in one sentence that names it', (name, value) => {
    const reading = () => readConfiguration({ [name]: value });
    expect(reading).toThrow(Failure);
    expect(reading).toThrow(new RegExp(`^${name} .*\\.$`));
  });

  it('never fails with anything but a Failure, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('RIDGEWATCH_WORKERS', 'RIDGEWATCH_FACE_MODELS', 'RIDGEWATCH_TARGET_FPIR', 'RIDGEWATCH_X'),
        fc.string(),
        (name, value) => {
          try {
            readConfiguration({ [name]: value });
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
          }
        },
      ),
    );
  });

  it('equals docs/configuration.md', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
    const squeeze = (text: string) => text.replaceAll(/[ -]+/g, ' ');
    expect(squeeze(page)).toContain(squeeze(renderSettings()));
  });
});
