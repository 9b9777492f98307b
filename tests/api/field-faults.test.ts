/**
 * Wrong values for each field of each request in the contract: the refusal names the field and describes the fault in
 * words.
 */
import type { ClientHttp2Session } from 'node:http2';
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { status as Code } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CandidateConclusion,
  CaseFinding,
  ConclusionReason,
  DecideRequest,
  EscalateRequest,
  GetCaseRequest,
  ProbeValue,
  ReportOutcomeRequest,
  SubmitAnalysisRequest,
} from '../../src/contract/generated/ridgewatch/v1/cases.ts';
import {
  AddClientRequest,
  ClientKind,
  DisableClientRequest,
  Role,
  RevokeCredentialRequest,
  RotateCredentialRequest,
  UpdateClientRequest,
} from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { contract } from '../../src/contract/contract.ts';
import {
  ApproveExpungeRequest,
  EnrollRequest,
  EnrollStreamRequest,
  EnrollStreamResponse,
  ExpungeSubjectRequest,
  GetSubjectRequest,
  ListSubjectsRequest,
  ProposeExpungeRequest,
  ReadHistoryRequest,
  UpdateSubjectRequest,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentifyRequest,
  Purpose,
  IdentifyStreamRequest,
  IdentifyStreamResponse,
  VerifyRequest,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { readEnrollRequest, readIdentifyRequest } from '../../src/contract/json-requests.ts';
import { readStatus, type ReceivedStatus } from '../../src/api/status.ts';
import { Failure } from '../../src/failure.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { messageCall, openSession, type RawAnswer } from './raw-call.ts';
import {
  enrolRequest,
  identifyRequest,
  runService,
  samplesOf,
  verifyRequest,
  type RunningService,
} from './running-service.ts';
import { field, varint } from '../contract/wire-messages.ts';

const NO_SUBJECT = '00000000-0000-4000-8000-000000000000';
/** Phrases of zod's own error messages. */
const OF_THE_LIBRARY = /\b(invalid|expected|received|too (small|big)|unrecognized|nan)\b/i;

let cluster: TestCluster;
let running: RunningService;
let session: ClientHttp2Session;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  session = openSession(running.service.grpcPort);
});
afterAll(async () => {
  session.destroy();
  await running.stop();
  await cluster.stop();
});

const samples = samplesOf(1, 0).slice(0, 1);
const inline = { $case: 'referenceSamples', value: { samples } } as const;
const TOKEN = { how: { $case: 'token', value: true }, expireTime: undefined } as const;
/** Valid requests, in which a test replaces one field. */
const RIGHT: Readonly<Record<string, Uint8Array>> = {
  Identify: IdentifyRequest.encode(identifyRequest(samples, { threshold: undefined })).finish(),
  IdentifyStream: IdentifyStreamRequest.encode({
    request: identifyRequest(samples, { clientRequestId: 'x' }),
  }).finish(),
  Verify: VerifyRequest.encode(verifyRequest(samples, inline)).finish(),
  Enroll: EnrollRequest.encode(enrolRequest(samples)).finish(),
  EnrollStream: EnrollStreamRequest.encode({ record: enrolRequest(samples) }).finish(),
  GetSubject: GetSubjectRequest.encode({ subjectId: NO_SUBJECT }).finish(),
  ListSubjects: ListSubjectsRequest.encode({ gallery: '', contributor: '', pageSize: 0, pageToken: '' }).finish(),
  UpdateSubject: UpdateSubjectRequest.encode({
    subjectId: NO_SUBJECT,
    expectedVersion: 0,
    data: enrolRequest(samples).data,
    samples,
    updateMask: [
      'samples',
      'data.external_id',
      'data.galleries',
      'data.caveats',
      'data.provenance',
      'data.expire_time',
      'data.review_time',
      'data.suspended',
      'data.minor_until',
      'data.handling',
    ],
  }).finish(),
  ExpungeSubject: ExpungeSubjectRequest.encode({ subjectId: NO_SUBJECT, reason: 'test' }).finish(),
  ProposeExpunge: ProposeExpungeRequest.encode({ subjectId: NO_SUBJECT, reason: 'test' }).finish(),
  ReadHistory: ReadHistoryRequest.encode({
    subjectId: NO_SUBJECT,
    pageSize: 0,
    afterGalleryVersion: 0,
  }).finish(),
  ApproveExpunge: ApproveExpungeRequest.encode({ proposalId: NO_SUBJECT }).finish(),
  GetCase: GetCaseRequest.encode({ caseId: NO_SUBJECT }).finish(),
  SubmitAnalysis: SubmitAnalysisRequest.encode({
    ...{ caseId: NO_SUBJECT, value: ProbeValue.LIMITED, usableMinutiae: 12, text: 'smudged' },
  }).finish(),
  Decide: DecideRequest.encode({
    caseId: NO_SUBJECT,
    decisions: [
      {
        subjectId: NO_SUBJECT,
        conclusion: CandidateConclusion.INCONCLUSIVE,
        reason: ConclusionReason.OTHER,
        text: 'why',
      },
    ],
  }).finish(),
  Escalate: EscalateRequest.encode({ caseId: NO_SUBJECT, reason: 'test' }).finish(),
  ReportOutcome: ReportOutcomeRequest.encode({
    ...{ caseId: NO_SUBJECT, subjectId: NO_SUBJECT, finding: CaseFinding.UNKNOWN, text: '' },
  }).finish(),
  AddClient: AddClientRequest.encode({
    client: {
      clientId: 'gate',
      kind: ClientKind.MACHINE,
      agency: 'agency',
      roles: [Role.CHECKPOINT],
      allGalleries: false,
      galleries: ['main'],
      purposes: [Purpose.TEST],
      clearance: 0,
      callsPerSecond: 0,
      streams: 0,
      verificationsPerDay: 0,
    },
    credential: TOKEN,
  }).finish(),
  RotateCredential: RotateCredentialRequest.encode({
    clientId: 'nobody',
    credential: TOKEN,
    overlapSeconds: 0,
  }).finish(),
  UpdateClient: UpdateClientRequest.encode({
    client: {
      clientId: 'nobody',
      kind: ClientKind.UNSPECIFIED,
      agency: '',
      roles: [],
      allGalleries: false,
      galleries: [],
      purposes: [],
      clearance: 1,
      callsPerSecond: 0,
      streams: 0,
      verificationsPerDay: 0,
    },
    updateMask: ['clearance'],
    etag: '0'.repeat(32),
  }).finish(),
  RevokeCredential: RevokeCredentialRequest.encode({ clientId: 'nobody', credentialId: NO_SUBJECT }).finish(),
  DisableClient: DisableClientRequest.encode({ clientId: 'nobody', reason: 'test' }).finish(),
};

/** Invalid or unusual encodings of a field, with their tags. */
function wrongValues(one: DescField): Buffer[] {
  const { number } = one;
  const fixed64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return Buffer.concat([varint(number * 8 + 1), bytes]);
  };
  const nothing = Buffer.alloc(0);
  const scalar = one.fieldKind === 'list' ? (one.listKind === 'scalar' ? one.scalar : undefined) : one.scalar;
  const texts = ['', 'a b', 'ä', 'a\0b', '\u200b', 'x'.repeat(65), 'x'.repeat(201), 'x'.repeat(4000), 'x'.repeat(5000)];
  const values = [nothing, fixed64(1), field(number, 1), field(number, Buffer.from([0xff])), field(number, 2n ** 63n)];
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES)
    values.push(...texts.map((text) => field(number, Buffer.from(text))));
  else if (scalar === ScalarType.DOUBLE)
    values.push(...[NaN, Infinity, -Infinity, 0, 1e-10, -13, 0.6, 1e300].map(fixed64));
  else if (one.fieldKind === 'message' || one.message !== undefined) values.push(field(number, nothing));
  else values.push(...[0, 99, 501, 1001, 2 ** 32, 2n ** 53n, -1n, -(2n ** 40n)].map((value) => field(number, value)));
  if (one.fieldKind === 'list') {
    const two = values.at(-1) ?? nothing;
    values.push(Buffer.concat([two, two]), Buffer.concat(Array.from({ length: 40 }, () => two)));
  }
  return values;
}

/**
 * The message with a field replaced, in the first element where it is in a list. The fields on the path to it are kept.
 */
function withValues(bytes: Uint8Array, [first, ...rest]: readonly DescField[], values: Buffer): Buffer {
  if (first === undefined) throw new Error('the path is empty');
  const reader = new BinaryReader(bytes);
  const kept = new BinaryWriter();
  let inner: Uint8Array | undefined;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === first.number && (rest.length === 0 || inner === undefined)) {
      if (rest.length > 0 && wireType === WireType.LengthDelimited) inner = reader.bytes();
      else reader.skip(wireType, number);
    } else kept.tag(number, wireType).raw(reader.skip(wireType, number));
  }
  const changed = rest.length === 0 ? values : field(first.number, withValues(inner ?? new Uint8Array(), rest, values));
  return Buffer.concat([kept.finish(), changed]);
}

/** Every field that a request can hold, each with the path to it. Timestamps count as single values. */
function pathsOf(message: DescMessage, outer: readonly DescField[] = []): (readonly DescField[])[] {
  if (message.typeName === 'google.protobuf.Timestamp') return [];
  return message.fields.flatMap((one) => [
    [...outer, one],
    ...(one.message === undefined ? [] : pathsOf(one.message, [...outer, one])),
  ]);
}

/** Whether a text is the path of a field of the message, or the name of one of its oneofs. */
function exists(path: string, message: DescMessage): boolean {
  const [, name, index, , rest] = /^([a-z0-9_]+)(\[\d+\])?(\.(.+))?$/.exec(path) ?? [];
  if (name === undefined) return false;
  if (message.oneofs.some((one) => one.name === path)) return true;
  const found = message.fields.find((one) => one.name === name);
  if (found === undefined || (index !== undefined && found.fieldKind !== 'list')) return false;
  return rest === undefined || (found.message !== undefined && exists(rest, found.message));
}

/** A call with one message. A stream of hits goes on until its deadline. */
function answerOf(name: string, path: string, message: Uint8Array): Promise<RawAnswer> {
  return messageCall(session, path, message, name === 'WatchHits' ? { 'grpc-timeout': '300m' } : {});
}

/** Status of a call, or of the single record or search of its stream; undefined if it was not refused. */
function refusalOf(name: string, { messages: [answer], status }: RawAnswer): RawAnswer['status'] | undefined {
  if (name === 'WatchHits' && status.code === (Code.DEADLINE_EXCEEDED as number)) return undefined;
  if (status.code !== (Code.OK as number)) return status;
  if (answer === undefined || !name.endsWith('Stream')) return undefined;
  const outcome =
    name === 'IdentifyStream'
      ? IdentifyStreamResponse.decode(answer).outcome
      : EnrollStreamResponse.decode(answer).outcomes[0]?.outcome;
  return outcome?.$case === 'error' ? readStatus(outcome.value) : undefined;
}

const methods = [...contract().files]
  .filter(({ proto }) => proto.package === 'ridgewatch.v1')
  .flatMap(({ services }) => services.flatMap((service) => service.methods))
  .filter(({ input }) => input.fields.length > 0);

function expectClear({ message, violations }: Pick<ReceivedStatus, 'message' | 'violations'>, what: string): void {
  for (const sentence of [message, ...violations.map(({ description }) => description)])
    expect(sentence, what).not.toMatch(OF_THE_LIBRARY);
}

describe.each(methods)('$name', ({ name, parent, input }) => {
  const path = `/${parent.typeName}/${name}`;
  const right = RIGHT[name] ?? new Uint8Array();
  const paths = pathsOf(input).map((one) => ({ where: one.map((part) => part.name).join('.'), one }));

  it('accepts the valid request that the other tests change', async () => {
    const refusal = refusalOf(name, await answerOf(name, path, right));
    const after = ['SUBJECT_NOT_FOUND', 'CLIENT_NOT_FOUND', 'CLIENT_EXISTS', 'PROPOSAL_NOT_FOUND', 'CASE_NOT_FOUND'];
    expect([undefined, ...after]).toContain(refusal?.reason);
  });

  it.each(paths)('describes what is wrong with $where', async ({ where, one }) => {
    const last = one.at(-1);
    if (last === undefined) throw new Error('the path is empty');
    let refused = 0;
    for (const values of wrongValues(last)) {
      const refusal = refusalOf(name, await answerOf(name, path, withValues(right, one, values)));
      if (refusal === undefined) continue;
      refused++;
      const what = `${where}: ${values.subarray(0, 20).toString('hex')}: ${refusal.message}`;
      expect(refusal.reason, what).toMatch(/^[A-Z_]+$/);
      expect([Code.INTERNAL, Code.UNKNOWN] as number[], what).not.toContain(refusal.code);
      expectClear(refusal, what);
      // The error of a search or a record names fields of the unary method's request.
      const inner = name.endsWith('Stream') ? input.fields[0]?.message : undefined;
      for (const violation of refusal.violations)
        expect(exists(violation.field, input) || (inner && exists(violation.field, inner)), what).toBe(true);
      if (refusal.code !== (Code.INVALID_ARGUMENT as number)) continue;
      if (refusal.reason === 'REQUEST_UNREADABLE' || refusal.reason === 'TOO_MANY_FIELDS') continue;
      expect(refusal.violations.length, what).toBeGreaterThan(0);
    }
    // No field accepts every value.
    expect(refused).toBeGreaterThan(0);
  });
});

describe('what callers write', () => {
  const CANARY = /canary/i;
  const TEXTS = ['Canary-7f3a', 'canary7f3a', 'CANARY', 'Canary 7f3a \u00e4', 'canary\0', 'canary'.padEnd(300, 'x')];
  /** Identifiers that callers choose to find their calls in the log. They are logged while they are valid. */
  const LOGGED = ['checkpoint_id', 'client_request_id'];
  const isLogged = (name: string, text: string) => LOGGED.includes(name) && /^[A-Za-z0-9._:-]{1,64}$/.test(text);

  it.each(methods)('is repeated neither by a refusal of $name nor in the log', async ({ name, parent, input }) => {
    for (const path of pathsOf(input)) {
      const last = path.at(-1);
      const isText = [ScalarType.STRING, ScalarType.BYTES].includes(
        (last?.fieldKind === 'list' && last.listKind === 'scalar' ? last.scalar : last?.scalar) as ScalarType,
      );
      if (last === undefined || !isText) continue;
      for (const text of TEXTS) {
        const lines = running.log.length;
        const message = withValues(RIGHT[name] ?? new Uint8Array(), path, field(last.number, Buffer.from(text)));
        const refusal = refusalOf(name, await answerOf(name, `/${parent.typeName}/${name}`, message));
        expect(JSON.stringify(refusal ?? {}), last.name).not.toMatch(CANARY);
        if (!isLogged(last.name, text)) expect(running.log.slice(lines).join('\n'), last.name).not.toMatch(CANARY);
      }
    }
  });
});

describe('in JSON', () => {
  const VALUES = [1, -1, 1.5, 1e300, true, '', 'x', 'NaN', 'ä', [], [1], [null], {}, { x: 1 }, '9'.repeat(400)];
  const VALID = /^(request|[a-z][a-z0-9_]*(\[\d+\])?(\.[a-z][a-z0-9_]*(\[\d+\])?)*)$/;

  it.each([
    ['IdentifyRequest', readIdentifyRequest],
    ['EnrollRequest', readEnrollRequest],
  ] as const)('%s describes what is wrong with each field', (name, read) => {
    const message = contract().getMessage(`ridgewatch.v1.${name}`);
    if (message === undefined) throw new Error(`there is no ${name}`);
    let refused = 0;
    for (const path of pathsOf(message)) {
      for (const value of VALUES) {
        const json = path.toReversed().reduce<unknown>((inner, one) => {
          const isLast = one === path.at(-1);
          return { [one.jsonName]: one.fieldKind === 'list' && !isLast ? [inner] : inner };
        }, value);
        let thrown: unknown;
        try {
          read(Buffer.from(JSON.stringify(json)));
        } catch (error) {
          thrown = error;
        }
        if (thrown === undefined) continue;
        expect(thrown).toBeInstanceOf(Failure);
        const { message: sentence, detail } = thrown as Failure;
        const violations = detail.violations ?? [{ field: detail.field ?? '', description: sentence }];
        refused++;
        expectClear({ message: sentence, violations }, JSON.stringify(json));
        for (const violation of violations) {
          expect(violation.field).toMatch(VALID);
          expect(violation.field === 'request' || exists(violation.field, message), violation.field).toBe(true);
        }
      }
    }
    expect(refused).toBeGreaterThan(100);
  });

  it('rejects a request that is not an object', () => {
    for (const text of ['[]', '1', '"x"', 'null', 'true'])
      expect(() => readIdentifyRequest(Buffer.from(text))).toThrow(/^request must be an object$/);
  });
});
