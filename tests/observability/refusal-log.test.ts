import { expect, it } from 'vitest';
import { createLogger } from '../../src/observability/logging.ts';
import { RefusalLog } from '../../src/observability/refusal-log.ts';

it('counts every refusal and logs a limited number for one reason', () => {
  const lines: string[] = [];
  const counted: string[] = [];
  const refusals = new RefusalLog(createLogger('info', { write: (line: string) => void lines.push(line) }), (reason) =>
    counted.push(reason),
  );
  for (let i = 0; i < 5000; i++) refusals.report({ surface: 'grpc', reason: 'HANDSHAKE_ABORTED' });
  refusals.report({ surface: 'http', reason: 'PATH_UNKNOWN', facts: { status: 404 } });
  expect(counted).toHaveLength(5001);
  expect(lines.filter((line) => line.includes('HANDSHAKE_ABORTED')).length).toBeLessThanOrEqual(20);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ surface: 'http', reason: 'PATH_UNKNOWN', status: 404 });
});
