/** Refusals of records name the subject, whatever else is wrong with the record. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EnrollRequest } from '../../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Preparation } from '../../../src/transfer/import/preparation.ts';
import { namesIn } from '../../../src/transfer/import/record-names.ts';
import { delimited, record } from './record-files.ts';

const rules = { faceModels: new Map(), minimumQuality: 0, maxRecordBytes: 1 << 20 };
const sample = { modality: 'MODALITY_FINGER', format: 'TEMPLATE_FORMAT_ISO_19794_2_2005', data: 'AAAA' };
const who = { contributor: 'imp', external_id: 'r4100' };
const namesOfLine = (line: string) => namesIn(Buffer.from(line), 'ndjson');

/** Each record has another fault, and names the same subject. */
const FAULTY: readonly (readonly [string, string])[] = [
  ['a template', JSON.stringify({ data: who, samples: [sample] })],
  ['a number in the place of a list', JSON.stringify({ data: who, samples: 3 })],
  ['an unknown field', JSON.stringify({ data: { ...who, expire_tim: 'x' }, samples: [sample] })],
  ['an unknown name', JSON.stringify({ data: { ...who, provenance: 'FIELD' }, samples: [sample] })],
  ['invalid base64', JSON.stringify({ data: who, samples: [{ ...sample, data: '!!!' }] })],
  ['an extra field, in camel case', JSON.stringify({ data: { contributor: 'imp', externalId: 'r4100' }, more: 1 })],
  ['a truncated line', JSON.stringify({ data: who, samples: [sample] }).slice(0, -9)],
  ['two objects on a line', `${JSON.stringify({ data: who })} {}`],
  ['an extra comma', JSON.stringify({ data: who }).replace('}}', '},}')],
];

describe('a refused record', () => {
  it.each(FAULTY)('with a fault in %s is still identified by its names', (_, line) => {
    const { refused } = new Preparation(rules).prepare(Buffer.from(`${line}\n`), 'ndjson');
    expect(refused).toMatchObject([{ refusal: { contributor: 'imp', externalId: 'r4100' } }]);
  });

  it('names an unknown field as the file spells it', () => {
    for (const key of ['expire_tim', 'expireTim']) {
      const line = JSON.stringify({ data: { ...who, [key]: '2030-01-01T00:00:00Z' }, samples: [sample] });
      const { refused } = new Preparation(rules).prepare(Buffer.from(`${line}\n`), 'ndjson');
      expect(refused[0].refusal.message).toContain(key);
    }
  });

  it('shows numbers as written, and replaces characters that cannot be shown', () => {
    const ofId = (id: string) => namesOfLine(`{"data": {"external_id": ${id}}, "samples": 1}`).externalId;
    expect(ofId('17')).toBe('17');
    expect(ofId('12345678901234567890')).toBe('12345678901234567890');
    expect(ofId('"a\\u0000b\\u202ec\\ud800d\\u009be"')).toBe('a\ufffdb\ufffdc\ufffdd\ufffde');
    expect(ofId(JSON.stringify('x'.repeat(5000)))).toBe('x'.repeat(256));
    expect([ofId('{}'), ofId('[1]'), ofId('null'), ofId('true')]).toEqual(['', '', '', '']);
    expect(namesOfLine(`${'['.repeat(100_000)}`)).toEqual({ contributor: '', externalId: '' });
  });

  it('is identified by its names as a binary message too, wherever it becomes unreadable', () => {
    const whole = EnrollRequest.encode(record(1)).finish();
    const faulty = [
      Buffer.concat([whole, Buffer.from([0xff])]),
      whole.subarray(0, whole.length - 5),
      Buffer.concat([
        whole,
        new BinaryWriter()
          .tag(2, 2)
          .uint32(1 << 20)
          .finish(),
      ]),
    ];
    for (const message of faulty) {
      expect(namesIn(message, 'binpb')).toEqual({ contributor: 'agency', externalId: 'person-1' });
      const { refused } = new Preparation(rules).prepare(delimited(message), 'binpb');
      for (const { refusal } of refused)
        expect(refusal).toMatchObject({ contributor: 'agency', externalId: 'person-1' });
    }
  });

  it('has its names read without an error and within bounds, whatever its bytes', () => {
    const bounded = ({ contributor, externalId }: { contributor: string; externalId: string }) =>
      contributor.length <= 256 && externalId.length <= 256;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), fc.json(), (bytes, text, json) =>
        [
          namesIn(bytes, 'binpb'),
          namesIn(bytes, 'ndjson'),
          namesOfLine(`{"data":{"external_id":"${text}`),
          namesOfLine(`{"data":${json}}`),
        ].every(bounded),
      ),
    );
  });
});
