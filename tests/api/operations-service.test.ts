import { EventEmitter } from 'node:events';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import type {
  GetContentHashRequest,
  GetContentHashResponse,
} from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { operationsService, type OperationsDependencies } from '../../src/api/operations-service.ts';
import { Gallery } from '../../src/gallery/gallery.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { admittedMetadata, OPEN_CALLS } from './open-access.ts';

it('reads the gallery once for concurrent requests of its content hash', async () => {
  const gallery = new Gallery(gallerySizing(5));
  let read = 0;
  const served = {
    get current() {
      read++;
      return gallery;
    },
  };
  const service = { served, requireReady: () => undefined } as unknown as OperationsDependencies;
  const reports: string[] = [];
  const { getContentHash } = operationsService(service, {
    ...OPEN_CALLS,
    observe: ({ code }) => void reports.push(code),
    defaultDeadlineMs: 30_000,
  });
  const ask = () =>
    new Promise<GetContentHashResponse | null | undefined>((resolve) => {
      const call = Object.assign(new EventEmitter(), {
        getDeadline: () => Infinity,
        metadata: admittedMetadata(),
        getPeer: () => '127.0.0.1:1',
        request: {},
      });
      getContentHash(call as unknown as ServerUnaryCall<GetContentHashRequest, GetContentHashResponse>, (_, response) =>
        resolve(response),
      );
    });
  const answers = await Promise.all(Array.from({ length: 200 }, ask));
  expect(new Set(answers.map((answer) => answer?.hash)).size).toBe(1);
  expect(answers[0]?.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(read).toBe(1);
  expect(reports).toEqual(Array(200).fill('OK'));
});
