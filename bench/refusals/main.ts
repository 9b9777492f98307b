/**
 * Malformed samples, one kind of damage each, sent to Enroll: status, reason, field, byte offset. Nothing may be
 * stored.
 *
 *   npm run bench -- refusals [--json]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentials, status as Code, type ServiceError } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import { GalleryClient, Provenance, type EnrollResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { OperationsClient, type GetStatusResponse } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { readServiceError } from '../../src/api/status.ts';
import { demoSamples } from '../../src/service/demo-gallery.ts';
import { endProcess, promised, startProcess } from '../service/process.ts';
import { channelOf } from '../service/channel.ts';
import { UNLIMITED } from '../../src/store/records.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const [finger, , face] = demoSamples(createPerson(1, 1), 0) as [Sample, Sample, Sample];

function edited(sample: Sample, edit: (bytes: Buffer) => unknown): Sample {
  const data = Buffer.from(sample.data);
  edit(data);
  return { ...sample, data };
}

const CASES: readonly (readonly [string, Sample])[] = [
  ['empty', { ...finger, data: Buffer.alloc(0) }],
  ['larger than 64 KiB', { ...finger, data: Buffer.alloc(70_000) }],
  ['text in place of a record', { ...finger, data: Buffer.from('not a template at all') }],
  ['other version', edited(finger, (b) => b.write(' 30', 4, 'latin1'))],
  ['length field too long', edited(finger, (b) => b.writeUInt32BE(b.length + 5, 8))],
  ['length field zero', edited(finger, (b) => b.writeUInt32BE(0, 8))],
  ['cut in the header', { ...finger, data: finger.data.subarray(0, 20) }],
  ['cut in a minutia', { ...finger, data: finger.data.subarray(0, 61) }],
  ['bytes after the end', { ...finger, data: Buffer.concat([finger.data, Buffer.from([1])]) }],
  ['image of width 0', edited(finger, (b) => b.writeUInt16BE(0, 14))],
  ['resolution 0', edited(finger, (b) => b.writeUInt16BE(0, 18))],
  ['resolution 1 pixel/cm', edited(finger, (b) => b.writeUInt16BE(1, 18))],
  ['no view', edited(finger, (b) => b.writeUInt8(0, 22))],
  ['more views than there are', edited(finger, (b) => b.writeUInt8(3, 22))],
  ['reserved byte set', edited(finger, (b) => b.writeUInt8(1, 23))],
  ['finger position 42', edited(finger, (b) => b.writeUInt8(42, 24))],
  ['impression type 7', edited(finger, (b) => b.writeUInt8(7, 25))],
  ['finger quality 200', edited(finger, (b) => b.writeUInt8(200, 26))],
  ['more minutiae than there are', edited(finger, (b) => b.writeUInt8(255, 27))],
  ['minutia type 3', edited(finger, (b) => b.writeUInt16BE(0xc000, 28))],
  ['minutia outside the image', edited(finger, (b) => b.writeUInt16BE(0x7fff, 28))],
  ['reserved bits of a minutia set', edited(finger, (b) => b.writeUInt16BE(0x4001, 30))],
  ['minutia quality 101', edited(finger, (b) => b.writeUInt8(101, 33))],
  ['format not stated', { ...finger, format: 0 }],
  ['finger called a face', { ...finger, modality: 2 }],
  ['position that contradicts the record', { ...finger, fingerPosition: 9 }],
  ['position 11', { ...finger, fingerPosition: 11 as 10 }],
  ['quality 101', { ...finger, quality: 101 }],
  ['face with NaN', edited(face, (b) => b.writeFloatLE(NaN, 8))],
  ['face with infinity', edited(face, (b) => b.writeFloatLE(Infinity, 2044))],
  ['face of zeros', { ...face, data: Buffer.alloc(2048) }],
  ['face cut short', { ...face, data: face.data.subarray(0, 2047) }],
  ['face of dimension 500', { ...face, dimension: 500 }],
  ['face of an unknown model', { ...face, modelId: 'another' }],
  ['face without a model', { ...face, modelId: '' }],
  ['face with a finger position', { ...face, fingerPosition: 1 }],
];

const dataDir = mkdtempSync(join(tmpdir(), 'ridgewatch-refusals-'));
const { child, address } = await startProcess(dataDir, { RIDGEWATCH_DEMO: 'never', RIDGEWATCH_LOG_LEVEL: 'info' });
try {
  const gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
  const operations = new OperationsClient(address, credentials.createInsecure(), channelOf(address));
  const data = {
    contributor: 'bench',
    externalId: '',
    galleries: ['bench'],
    caveats: [],
    provenance: Provenance.SYNTHETIC,
    ...UNLIMITED,
  };
  const rows = [];
  for (const [what, sample] of CASES) {
    // A valid sample is sent with the malformed one: neither may be stored.
    const request = { data, samples: [finger, sample], clientRequestId: '' };
    const answer = await promised<EnrollResponse>((callback) => gallery.enroll(request, callback)).then(
      () => ({ status: 'OK', reason: 'ACCEPTED', field: '', byte: '' }),
      (error: unknown) => {
        const { code, reason, violations, metadata } = readServiceError(error as ServiceError);
        return {
          status: Code[code] ?? '',
          reason: reason ?? '',
          field: violations[0]?.field ?? '',
          byte: metadata.byte_offset ?? '',
        };
      },
    );
    rows.push({ what, ...answer });
  }
  const { storeVersion, subjectCount } = await promised<GetStatusResponse>((callback) =>
    operations.getStatus({}, callback),
  );
  const accepted = rows.filter(({ status }) => status === 'OK').length;
  if (values.json) console.log(JSON.stringify({ rows, accepted, storeVersion, subjectCount }));
  else {
    console.table(rows);
    console.log(
      `${rows.length} malformed inputs, ${accepted} accepted; subjects stored: ${subjectCount}, changes: ${storeVersion}`,
    );
  }
  process.exitCode = accepted + subjectCount + storeVersion === 0 ? 0 : 1;
  gallery.close();
  operations.close();
} finally {
  await endProcess(child);
  rmSync(dataDir, { recursive: true, force: true });
}
