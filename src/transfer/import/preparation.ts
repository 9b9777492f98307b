/** Turns the bytes of a record into its data in the store and in an index. */
import {
  checkedData,
  decodeForEnrolment,
  digestOf,
  referencesOf,
  subjectColumns,
  type SampleRules,
} from '../../enrolment/enrolment.ts';
import { contractMethod } from '../../contract/contract.ts';
import { EnrollRequest } from '../../contract/generated/ridgewatch/v1/gallery.ts';
import { readEnrollRequest } from '../../contract/json-requests.ts';
import { shapeOf } from '../../contract/message-shape.ts';
import { readMessage } from '../../contract/wire-walk.ts';
import { dataWarnings } from '../../contract/wire-warnings.ts';
import { asFailure, Failure } from '../../failure.ts';
import { packFace } from '../../matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../matching/kernels/reference-encoder.ts';
import type { ClientRequest, NewReference, NewSubject } from '../../store/records.ts';
import type { FaceTemplate } from '../../templates/face-template.ts';
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { recordsOf, type RecordFormat } from './record-file.ts';
import { namesIn, NO_NAMES, readableName, type RecordNames } from './record-names.ts';

/** The refusal of a record, for the report. */
export interface Refusal extends RecordNames {
  readonly reason: string;
  readonly message: string;
  /** Path of the field; empty if none is at fault. */
  readonly field: string;
}

/** A record that passed every check. */
export interface PreparedRecord {
  /** Position within its piece, from 0. */
  readonly position: number;
  readonly subject: Omit<NewSubject, 'subjectId'>;
  readonly references: readonly NewReference[];
  /** Packed references with their candidate vectors, by reference id. */
  readonly packed: ReadonlyMap<string, Uint8Array>;
  readonly clientRequest: ClientRequest;
  /** Oddities of the record. */
  readonly warnings: readonly { readonly code: string }[];
}

export interface RefusedRecord {
  readonly position: number;
  readonly refusal: Refusal;
}

export interface PreparedPiece {
  /** Number of records; in files of lines, empty ones included. */
  readonly count: number;
  readonly prepared: readonly PreparedRecord[];
  readonly refused: readonly RefusedRecord[];
}

export interface PreparationRules extends SampleRules {
  readonly maxRecordBytes: number;
}

/** Prepares records. Runs on separate threads because of its cost. */
export class Preparation {
  readonly #rules: PreparationRules;
  readonly #encoder = new ReferenceEncoder();
  readonly #shape = shapeOf(contractMethod('/ridgewatch.v1.Gallery/Enroll').input);

  constructor(rules: PreparationRules) {
    this.#rules = rules;
  }

  prepare(piece: Uint8Array, format: RecordFormat): PreparedPiece {
    const [prepared, refused]: [PreparedRecord[], RefusedRecord[]] = [[], []];
    let count = 0;
    for (const bytes of recordsOf(piece, format)) {
      const position = count++;
      if (format === 'ndjson' && isBlank(bytes)) continue;
      let request: EnrollRequest | undefined;
      try {
        request = this.#read(bytes, format);
        prepared.push({ position, ...this.#prepareOne(request) });
      } catch (thrown) {
        refused.push({ position, refusal: refusalOf(asFailure(thrown), namesOf(request, bytes, format)) });
      }
    }
    return { count, prepared, refused };
  }

  #read(bytes: Uint8Array, format: RecordFormat): EnrollRequest {
    if (bytes.length > this.#rules.maxRecordBytes) throw recordTooLarge(this.#rules.maxRecordBytes);
    if (format === 'ndjson') return readEnrollRequest(bytes);
    return readMessage(this.#shape, EnrollRequest, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  }

  #prepareOne(request: EnrollRequest): Omit<PreparedRecord, 'position'> {
    const data = checkedData(request);
    const decoded = decodeForEnrolment(request.samples, this.#rules);
    const packed = decoded.map(({ template }) => this.#pack(template));
    const digest = digestOf(request);
    const { warnings, ...made } = referencesOf(decoded, packed);
    return {
      subject: subjectColumns(data),
      ...made,
      warnings: [...warnings, ...dataWarnings(data)],
      clientRequest: { id: request.clientRequestId || requestIdOf(digest), digest },
    };
  }

  #pack(template: FingerTemplate | FaceTemplate): Uint8Array | undefined {
    return template.modality === 'finger' ? this.#encoder.encode(template) : packFace(template);
  }
}

export function recordTooLarge(maxBytes: number): Failure {
  return new Failure('invalid-argument', 'RECORD_TOO_LARGE', `The record has more than ${maxBytes} bytes.`);
}

/** A record without a request id is identified by its content: importing it again enrols no subject twice. */
function requestIdOf(digest: Uint8Array): string {
  return `import-${Buffer.from(digest).toString('hex').slice(0, 40)}`;
}

export function refusalOf({ reason, message, detail }: Failure, names: RecordNames): Refusal {
  const field = detail.field ?? (detail.violations ?? []).map((violation) => violation.field).join(', ');
  return { reason, message, field, ...names };
}

/** @param request - undefined if the record could not be read completely */
function namesOf(request: EnrollRequest | undefined, bytes: Uint8Array, format: RecordFormat): RecordNames {
  if (request === undefined) return namesIn(bytes, format);
  const { contributor, externalId } = request.data ?? NO_NAMES;
  return { contributor: readableName(contributor), externalId: readableName(externalId) };
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
