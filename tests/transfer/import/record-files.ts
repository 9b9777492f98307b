/** Files of records for tests, in either format. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { createPerson } from '../../../fixtures/person.ts';
import { EnrollRequest, Provenance } from '../../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { demoSamples } from '../../../src/service/demo-gallery.ts';
import { temporaryDirectory } from '../../cluster.ts';
import { UNLIMITED } from '../../../src/store/records.ts';

/** A good record: two fingers and a face of a synthetic person. */
export function record(person: number, changes: Partial<EnrollRequest['data'] & object> = {}): EnrollRequest {
  return {
    data: {
      contributor: 'agency',
      externalId: `person-${person}`,
      galleries: ['watchlist'],
      caveats: [],
      provenance: Provenance.SYNTHETIC,
      ...UNLIMITED,
      ...changes,
    },
    samples: demoSamples(createPerson(0x1a907, person), 0),
    clientRequestId: '',
  };
}

export function lineOf(request: EnrollRequest): Buffer {
  return Buffer.from(`${JSON.stringify(EnrollRequest.toJSON(request))}\n`);
}

/** Bytes after their length, as protobuf's own writer encodes it. */
export function delimited(bytes: Uint8Array): Buffer {
  return Buffer.from(new BinaryWriter().bytes(bytes).finish());
}

export function delimitedOf(request: EnrollRequest): Buffer {
  return delimited(EnrollRequest.encode(request).finish());
}

/** A new file with this content. @param name - with its extension */
export function fileOf(name: string, content: Uint8Array): string {
  const file = join(temporaryDirectory(), name);
  writeFileSync(file, content);
  return file;
}
