/**
 * Requests in JSON: what the ProtoJSON mapping allows is read; ambiguous or excessive requests are refused before they
 * cost anything.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EnrollRequest } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { IdentifyRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { readEnrollRequest, readIdentifyRequest } from '../../src/contract/json-requests.ts';
import { Failure } from '../../src/failure.ts';
import { installationFolder } from '../../src/installation.ts';

const bytesOf = (json: unknown) =>
  Buffer.isBuffer(json) ? json : Buffer.from(typeof json === 'string' ? json : JSON.stringify(json));
const identify = (json: unknown) => readIdentifyRequest(bytesOf(json));
const enroll = (json: unknown) => readEnrollRequest(bytesOf(json));

function refusal(work: () => unknown): Failure {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Failure) return thrown;
    throw thrown;
  }
  throw new Error('it was not refused');
}

describe('accepts', () => {
  it.each([
    [{ maxCandidates: '7' }, { maxCandidates: 7 }],
    [{ max_candidates: 7.0 }, { maxCandidates: 7 }],
    [{ maxCandidates: '7e0' }, { maxCandidates: 7 }],
    [{ maxCandidates: '70e-1' }, { maxCandidates: 7 }],
    [
      { maxCandidates: null, samples: null, exact: null, targetFpir: null },
      { maxCandidates: 0, samples: [] },
    ],
    [{ targetFpir: '1e-3' }, { threshold: { $case: 'targetFpir', value: 0.001 } }],
    [{ max_log10_fmr: -3, targetFpir: null }, { threshold: { $case: 'maxLog10Fmr', value: -3 } }],
    [{ purpose: 'PURPOSE_TEST' }, { purpose: IdentifyRequest.fromJSON({ purpose: 'PURPOSE_TEST' }).purpose }],
    [{ purpose: 2 }, { purpose: 2 }],
  ])('%j', (json, request) => expect(identify(json)).toMatchObject(request));

  it('bytes in both base64 alphabets, with or without padding', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const standard = Buffer.from(bytes).toString('base64');
        const url = Buffer.from(bytes).toString('base64url');
        const padding = '='.repeat(standard.length - url.length);
        for (const data of [
          standard,
          url,
          url + padding,
          standard.replaceAll('=', ''),
          standard.replaceAll('/', '\\/'),
        ])
          expect(Buffer.from(identify(`{"samples":[{"data":"${data}"}]}`).samples[0]?.data ?? [])).toEqual(
            Buffer.from(bytes),
          );
      }),
    );
  });

  it('every field of the contract under both of its names', () => {
    const set = readFileSync(join(installationFolder, 'src/contract/generated/descriptors.binpb'));
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set));
    for (const [message, read] of [
      ['IdentifyRequest', identify],
      ['EnrollRequest', enroll],
    ] as const) {
      const fields = registry.getMessage(`ridgewatch.v1.${message}`)?.fields ?? [];
      expect(fields.length).toBeGreaterThan(2);
      for (const { name, jsonName } of fields) for (const key of [name, jsonName]) read({ [key]: null });
    }
    for (const { name, jsonName } of registry.getMessage('ridgewatch.v1.Sample')?.fields ?? [])
      for (const key of [name, jsonName]) identify({ samples: [{ [key]: null }] });
    for (const { name, jsonName } of registry.getMessage('ridgewatch.v1.SubjectData')?.fields ?? [])
      for (const key of [name, jsonName]) enroll({ data: { [key]: null } });
  });

  const LIFE = {
    ...{
      expireTime: '2030-01-31T12:00:00.25Z',
      reviewTime: '2029-01-31T12:00:00Z',
      minorUntil: '2028-01-31T12:00:00Z',
    },
    suspended: true,
    handling: { code: 'HANDLING_CODE_LOCATE', instructions: 'Ask where.', contact: 'desk' },
  };

  it('documents that the service itself writes', () => {
    const request = EnrollRequest.fromJSON({
      data: { contributor: 'a', galleries: ['g'], provenance: 1, ...LIFE },
      samples: [{ modality: 1, format: 1, data: 'AAEC', fingerPosition: 2, quality: 50 }],
      clientRequestId: 'x',
    });
    expect(enroll(EnrollRequest.toJSON(request))).toEqual(request);
  });
});

describe('refuses', () => {
  const deep = (n: number) => `{"samples":${'['.repeat(n)}${']'.repeat(n)}}`;

  it.each([
    ['a field twice', '{"exact":true,"exact":false}', 'FIELD_REPEATED'],
    ['a field twice, once escaped', '{"exact":true,"\\u0065xact":false}', 'FIELD_REPEATED'],
    ['a field under both names', '{"maxCandidates":1,"max_candidates":2}', 'FIELD_REPEATED'],
    ['a field twice further in', '{"samples":[{"quality":1},{"quality":1,"quality":2}]}', 'FIELD_REPEATED'],
    ['a field twice with something between', '{"exact":true,"samples":[{"quality":1}],"exact":true}', 'FIELD_REPEATED'],
    ['an unknown field twice', '{"x":1,"x":2}', 'FIELD_REPEATED'],
    ['17 levels of lists', deep(16), 'REQUEST_TOO_COMPLEX'],
    ['5,000 levels of lists', deep(5000), 'REQUEST_TOO_COMPLEX'],
    ['2 million levels of objects', '{"a":'.repeat(2_000_000), 'REQUEST_TOO_COMPLEX'],
    ['a million numbers', `{"samples":[${'1,'.repeat(1_000_000)}1]}`, 'REQUEST_TOO_COMPLEX'],
    ['a million keys', `{${'"a":1,'.repeat(1_000_000)}"b":1}`, 'FIELD_REPEATED'],
    ['a million escaped quotes', `{"checkpointId":"${'\\"'.repeat(1_000_000)}"}`, 'REQUEST_TOO_COMPLEX'],
    ['a string without end', '{"checkpointId":"abc', 'REQUEST_UNREADABLE'],
    ['a key that is none', '{"\\x":1}', 'REQUEST_UNREADABLE'],
    ['something behind', '{} {}', 'REQUEST_UNREADABLE'],
    ['bytes that are not UTF-8', Buffer.from('{"\xff":1}', 'latin1'), 'REQUEST_UNREADABLE'],
  ])('%s', (_, json, reason) => {
    const started = performance.now();
    expect(refusal(() => identify(json)).reason).toBe(reason);
    expect(performance.now() - started).toBeLessThan(500);
  });

  it.each([
    [{ maxCandidates: '' }, 'max_candidates'],
    [{ maxCandidates: ' 7' }, 'max_candidates'],
    [{ maxCandidates: '0x7' }, 'max_candidates'],
    [{ maxCandidates: '07' }, 'max_candidates'],
    [{ maxCandidates: '7.5' }, 'max_candidates'],
    [{ maxCandidates: -1 }, 'max_candidates'],
    [{ maxCandidates: '4294967296' }, 'max_candidates'],
    [{ maxCandidates: '9'.repeat(100) }, 'max_candidates'],
    [{ maxCandidates: true }, 'max_candidates'],
    [{ targetFpir: 'often' }, 'target_fpir'],
    [{ exact: 'true' }, 'exact'],
    [{ exact: 1 }, 'exact'],
    [{ checkpointId: 7 }, 'checkpoint_id'],
    [{ checkpointId: '\ud800' }, 'checkpoint_id'],
    [{ galleries: ['a', null] }, 'galleries[1]'],
    [{ galleries: ['x\udfff'] }, 'galleries[0]'],
    [{ samples: [{ data: 'A' }] }, 'samples[0].data'],
    [{ samples: [{ data: 'AB=' }] }, 'samples[0].data'],
    [{ samples: [{ data: 'AB+_' }] }, 'samples[0].data'],
    [{ samples: [{ data: 'A B=' }] }, 'samples[0].data'],
    [{ samples: [{ captureTime: '0000-01-01T00:00:00Z' }] }, 'samples[0].capture_time'],
    [{ samples: [{ captureTime: '2026-02-30T00:00:00Z' }] }, 'samples[0].capture_time'],
    [{ samples: {} }, 'samples'],
    [{ targetFpir: 0.1, max_log10_fmr: -3 }, 'max_log10_fmr'],
    ['{"__proto__":{"samples":[]}}', 'request'],
    ['{"samples":[{"__proto__":null}]}', 'samples[0]'],
    ['{"constructor":1}', 'request'],
    [{ max_log_10_fmr: -3 }, 'request'],
    [{ External_Id: 1 }, 'request'],
  ])('%j, with its field', (json, field) => {
    const { reason, detail } = refusal(() => identify(json));
    expect([reason, detail.violations?.map((violation) => violation.field)]).toEqual(['INVALID_REQUEST', [field]]);
  });

  it('a template of more than 64 KiB before it is decoded', () => {
    const { reason, detail } = refusal(() => identify({ samples: [{ data: 'A'.repeat(3_000_000) }] }));
    expect([reason, detail.field]).toEqual(['DATA_TOO_LARGE', 'samples[0].data']);
  });

  it('unknown fields, with a message of bounded length', () => {
    const names = Array.from({ length: 3000 }, (_, i) => [`${'x'.repeat(1000)}${i}`, 1]);
    const { message } = refusal(() => identify(Object.fromEntries(names)));
    expect(message.length).toBeLessThan(200);
    expect(refusal(() => identify({ 'Jane Doe': 1, target_fpr: 2 })).message).not.toContain('Jane');
  });

  it('any document, or reads it as JSON.parse does', () => {
    const key = fc.constantFrom('samples', 'data', 'exact', 'client_request_id', 'x', '__proto__');
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(tree, fc.string({ unit: 'binary' }), fc.nat(), (value, noise, at) => {
        const text = JSON.stringify(value) ?? '';
        for (const json of [text, text.slice(0, at % (text.length + 1)) + noise + text.slice(at % (text.length + 1))]) {
          try {
            enroll(json);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(Failure);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
