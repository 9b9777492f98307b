import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { redact } from '../../src/observability/redaction.ts';

const MARK = 'kowalski-4711';

describe('redaction', () => {
  it('removes forbidden fields at any depth and in any spelling', () => {
    const key = fc.constantFrom(
      'subject_id',
      'subjectId',
      'SUBJECT-ID',
      'externalId',
      'scores',
      'log10_fmr',
      'data',
      'embedding',
      'caveats',
      'explanation',
      'pairs',
      'alignment',
      'password',
      'DATABASE_URL',
    );
    const wrap = fc.array(fc.constantFrom('a', 'list', 'b'), { maxLength: 8 });
    fc.assert(
      fc.property(key, wrap, (name, path) => {
        const value = path.reduce<unknown>((inner, step) => (step === 'list' ? [inner] : { [step]: inner }), {
          [name]: MARK,
        });
        expect(JSON.stringify(redact(value))).not.toContain(MARK);
      }),
    );
  });

  it('removes bytes and lists of numbers', () => {
    const secret = [11, 22, 33];
    for (const bytes of [
      Uint8Array.from(secret),
      Float32Array.from(secret),
      Buffer.from(secret),
      new Uint8Array(secret).buffer,
      secret,
    ]) {
      expect(JSON.stringify(redact({ a: { b: bytes } }))).not.toMatch(/22/);
    }
  });

  it('never throws: cycles, throwing getters, endless numbers', () => {
    const circle: Record<string, unknown> = {
      big: 10n,
      when: new Date(NaN),
      f: () => 1,
      s: new Set([1]),
      m: new Map([['data', MARK]]),
    };
    circle.self = circle;
    const trap = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error(MARK);
      },
    });
    expect(JSON.stringify(redact({ circle, trap }))).not.toContain(MARK);
    fc.assert(fc.property(fc.anything(), (value) => void redact(value)));
  });

  it('keeps the message of a Failure, but only the kind of any other error', () => {
    const foreign = Object.assign(new Error(`duplicate key (${MARK})`), { code: '23505', detail: MARK });
    const own = new Failure('internal', 'STORE_ERROR', 'The store met an error.', {
      cause: foreign,
      metadata: { x: MARK },
    });
    expect(redact(foreign)).toMatchObject({ type: 'Error', code: '23505' });
    expect(redact(own)).toMatchObject({ message: 'The store met an error.', reason: 'STORE_ERROR' });
    expect(JSON.stringify([redact(foreign), redact(own)])).not.toContain(MARK);
  });

  it('applies to every line of the log', () => {
    const lines: string[] = [];
    const log = createLogger('info', { write: (line: string) => void lines.push(line) });
    log
      .child({ request_id: 'r' })
      .info({ subject_id: MARK, nested: { err: new Error(MARK) }, err: new Error(MARK), count: 3 }, 'line');
    log.error(new Error(MARK));
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      request_id: 'r',
      count: 3,
      msg: 'line',
      subject_id: '[redacted]',
    });
    expect(lines.join('')).not.toContain(MARK);
  });
});
