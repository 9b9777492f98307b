/** Every rule of a request at its limit, which is accepted, and one step beyond, which is refused with the field. */
import { expect, it } from 'vitest';
import type { Failure } from '../../src/failure.ts';
import {
  check,
  enrollRules,
  expungeRules,
  identifyRules,
  listRules,
  onlyNamedFields,
  subjectIdRules,
  updateRules,
  verifyRules,
} from '../../src/contract/validation.ts';
import { UNLIMITED } from '../../src/store/records.ts';

const UUID = '0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f10';
const list = (length: number, make: (i: number) => unknown = () => ({})) => Array.from({ length }, (_, i) => make(i));
const letters = (length: number) => 'x'.repeat(length);

const data = {
  contributor: 'agency',
  externalId: '',
  galleries: ['main'],
  caveats: [],
  provenance: 0,
  ...UNLIMITED,
};
const identify = {
  samples: list(1),
  galleries: [],
  maxCandidates: 0,
  threshold: undefined,
  purpose: 1,
  checkpointId: 'gate-1',
  clientRequestId: '',
};
const verify = { ...identify, claim: { $case: 'subjectId', value: UUID } };
const enroll = { data, samples: list(1), clientRequestId: '' };
const update = { subjectId: UUID, expectedVersion: 0, updateMask: ['samples'], data: undefined, samples: list(1) };
const listing = { gallery: '', contributor: '', pageSize: 0, pageToken: '' };
const references = (length: number) => ({ $case: 'referenceSamples', value: { samples: list(length) } });
const fpir = (value: number) => ({ threshold: { $case: 'targetFpir', value } });
const rate = (value: number) => ({ threshold: { $case: 'maxLog10Fmr', value } });
const ofData = (changes: object) => ({ data: { ...data, ...changes } });
const handled = (changes: object) => ofData({ handling: { code: 1, instructions: '', contact: '', ...changes } });
const masked = (path: string, changes: object) => ({ updateMask: [path], samples: [], data: changes });

const RULES = { identifyRules, verifyRules, enrollRules, updateRules, listRules, subjectIdRules, expungeRules };
const REQUESTS = {
  identifyRules: identify,
  verifyRules: verify,
  enrollRules: enroll,
  updateRules: update,
  listRules: listing,
  subjectIdRules: { subjectId: UUID },
  expungeRules: { subjectId: UUID, reason: 'order' },
};

/** Rules, the named field, the limit that is accepted, and the value that is refused. */
type Case = readonly [
  rules: keyof typeof RULES,
  field: string,
  accepted: readonly object[],
  refused: readonly object[],
];
const CASES: readonly Case[] = [
  ['identifyRules', 'samples', [{ samples: list(16) }], [{ samples: [] }, { samples: list(17) }]],
  [
    'identifyRules',
    'galleries',
    [{ galleries: list(32, (i) => `g${i}`) }],
    [{ galleries: list(33, (i) => `g${i}`) }, { galleries: ['a', 'b', 'a'] }],
  ],
  [
    'identifyRules',
    'galleries[0]',
    [{ galleries: [letters(64)] }, { galleries: ['A-z_0:9.'] }],
    [{ galleries: [''] }, { galleries: [letters(65)] }, { galleries: ['a b'] }, { galleries: ['ä'] }],
  ],
  ['identifyRules', 'max_candidates', [{ maxCandidates: 500 }], [{ maxCandidates: 501 }, { maxCandidates: -1 }]],
  [
    'identifyRules',
    'target_fpir',
    [fpir(1e-9), fpir(0.5)],
    [fpir(0), fpir(9e-10), fpir(0.51), fpir(NaN), fpir(Infinity)],
  ],
  ['identifyRules', 'max_log10_fmr', [rate(-12), rate(0)], [rate(-12.001), rate(0.001), rate(NaN), rate(-Infinity)]],
  ['identifyRules', 'purpose', [{ purpose: 1 }], [{ purpose: 0 }, { purpose: -1 }, { purpose: 99 }]],
  [
    'identifyRules',
    'checkpoint_id',
    [{ checkpointId: letters(64) }],
    [{ checkpointId: '' }, { checkpointId: letters(65) }, { checkpointId: 'a/b' }],
  ],
  [
    'identifyRules',
    'client_request_id',
    [{ clientRequestId: letters(64) }],
    [{ clientRequestId: letters(65) }, { clientRequestId: 'a b' }],
  ],
  ['verifyRules', 'samples', [{ samples: list(16) }], [{ samples: [] }, { samples: list(17) }]],
  ['verifyRules', 'claim', [], [{ claim: undefined }]],
  [
    'verifyRules',
    'subject_id',
    [{ claim: { $case: 'subjectId', value: UUID } }],
    [
      { claim: { $case: 'subjectId', value: UUID.toUpperCase() } },
      { claim: { $case: 'subjectId', value: `${UUID}0` } },
    ],
  ],
  [
    'verifyRules',
    'reference_samples.samples',
    [{ claim: references(1) }, { claim: references(16) }],
    [{ claim: references(0) }, { claim: references(17) }],
  ],
  ['verifyRules', 'purpose', [{ purpose: 1 }], [{ purpose: 0 }, { purpose: 99 }]],
  ['verifyRules', 'checkpoint_id', [{ checkpointId: 'a' }], [{ checkpointId: '' }]],
  ['enrollRules', 'samples', [{ samples: list(32) }], [{ samples: [] }, { samples: list(33) }]],
  ['enrollRules', 'data', [], [{ data: undefined }]],
  ['enrollRules', 'data.contributor', [ofData({ contributor: letters(64) })], [ofData({ contributor: '' })]],
  [
    'enrollRules',
    'data.galleries',
    [ofData({ galleries: list(32, (i) => `g${i}`) })],
    [ofData({ galleries: [] }), ofData({ galleries: ['a', 'a'] }), ofData({ galleries: list(33, (i) => `g${i}`) })],
  ],
  [
    'enrollRules',
    'data.caveats',
    [ofData({ caveats: list(32, (i) => `C${i}`) })],
    [ofData({ caveats: list(33, (i) => `C${i}`) }), ofData({ caveats: ['A', 'A'] })],
  ],
  [
    'enrollRules',
    'data.caveats[0]',
    [ofData({ caveats: ['A-Z_0'] }), ofData({ caveats: ['A'.repeat(32)] })],
    [ofData({ caveats: [''] }), ofData({ caveats: ['a'] }), ofData({ caveats: ['A'.repeat(33)] })],
  ],
  ['enrollRules', 'data.provenance', [ofData({ provenance: 1 })], [ofData({ provenance: 99 })]],
  ...(['expireTime', 'reviewTime', 'minorUntil'] as const).map((name): Case => {
    const at = (time: Date) => ofData({ [name]: time });
    const limits = [at(new Date('9999-12-31T23:59:59.999Z')), at(new Date('1900-01-01T00:00:00Z'))];
    const beyond = [at(new Date('1899-12-31T23:59:59.999Z')), at(new Date(Date.UTC(10_000, 0))), at(new Date(NaN))];
    return ['enrollRules', `data.${name.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)}`, limits, beyond];
  }),
  ['enrollRules', 'data.suspended', [ofData({ suspended: true })], [ofData({ suspended: undefined })]],
  ['enrollRules', 'data.handling.code', [handled({ code: 8 })], [handled({ code: 0 }), handled({ code: 99 })]],
  [
    'enrollRules',
    'data.handling.instructions',
    [handled({ instructions: letters(1000) }), handled({ instructions: '' })],
    [handled({ instructions: letters(1001) }), handled({ instructions: 'a\nb' }), handled({ instructions: '\u200b' })],
  ],
  [
    'enrollRules',
    'data.handling.contact',
    [handled({ contact: letters(200) }), handled({ contact: '' })],
    [handled({ contact: letters(201) }), handled({ contact: 'a\u202eb' })],
  ],
  ['updateRules', 'subject_id', [{ subjectId: UUID }], [{ subjectId: '' }, { subjectId: UUID.slice(1) }]],
  ['updateRules', 'expected_version', [{ expectedVersion: 7 }], [{ expectedVersion: -1 }, { expectedVersion: 1.5 }]],
  [
    'updateRules',
    'update_mask',
    [],
    [
      { updateMask: [], samples: [] },
      { updateMask: undefined, samples: [] },
    ],
  ],
  ['updateRules', 'update_mask.paths[1]', [], [{ updateMask: ['samples', 'data.contributor'] }]],
  [
    'updateRules',
    'samples',
    [{ samples: list(32) }],
    [{ samples: [] }, { samples: list(33) }, { ...masked('data.caveats', { caveats: [] }), samples: list(1) }],
  ],
  [
    'updateRules',
    'data',
    [masked('data.caveats', { caveats: ['ARMED'] })],
    [{ updateMask: ['data.caveats'], samples: [], data: undefined }],
  ],
  [
    'updateRules',
    'data.galleries',
    [masked('data.galleries', { galleries: ['a'] })],
    [masked('data.galleries', { galleries: [] })],
  ],
  ['listRules', 'gallery', [{ gallery: letters(64) }], [{ gallery: letters(65) }]],
  ['listRules', 'contributor', [{ contributor: 'a' }], [{ contributor: 'a b' }]],
  ['listRules', 'page_size', [{ pageSize: 1000 }], [{ pageSize: 1001 }, { pageSize: -1 }]],
  ['subjectIdRules', 'subject_id', [{ subjectId: UUID }], [{ subjectId: 'x' }]],
  ['expungeRules', 'subject_id', [{ subjectId: UUID }], [{ subjectId: UUID.toUpperCase() }]],
];

/** The fields that a request is refused for; empty if it is accepted. */
function fieldsAtFault(rules: keyof typeof RULES, changes: object): string[] {
  try {
    check(RULES[rules], { ...REQUESTS[rules], ...changes });
    return [];
  } catch (error) {
    expect(error).toMatchObject({ kind: 'invalid-argument', reason: 'INVALID_REQUEST' });
    return ((error as Failure).detail.violations ?? []).map(({ field }) => field);
  }
}

it.each(CASES)('%s: %s is accepted up to its limit and refused beyond', (rules, field, accepted, refused) => {
  expect(fieldsAtFault(rules, {})).toEqual([]);
  for (const changes of accepted) expect(fieldsAtFault(rules, changes), JSON.stringify(changes)).toEqual([]);
  for (const changes of refused)
    expect(new Set(fieldsAtFault(rules, changes)), JSON.stringify(changes)).toEqual(new Set([field]));
});

it('names every field at fault', () => {
  const changes = { purpose: 0, checkpointId: 'a b', samples: [] };
  expect(fieldsAtFault('identifyRules', changes).sort()).toEqual(['checkpoint_id', 'purpose', 'samples']);
});

it.each<[keyof typeof RULES, object, string]>([
  ['enrollRules', { data: undefined }, 'data is required'],
  ['identifyRules', fpir(NaN), 'target_fpir must be a number from 1e-9 to 0.5'],
  ['identifyRules', fpir(0.6), 'target_fpir must be a number from 1e-9 to 0.5'],
  ['identifyRules', rate(-Infinity), 'max_log10_fmr must be a number from -12 to 0'],
  ['identifyRules', { maxCandidates: 501 }, 'max_candidates must be a whole number from 0 to 500'],
  ['listRules', { pageSize: 1001 }, 'page_size must be a whole number from 0 to 1000'],
  ['updateRules', { updateMask: undefined, samples: [] }, 'update_mask is required: it must name at least one field'],
  ['verifyRules', { claim: undefined }, 'claim is required: subject_id, or reference_samples with 1 to 16 samples'],
])('%s: %j is refused with a sentence that states the bounds', (rules, changes, sentence) => {
  expect(() => check(RULES[rules], { ...REQUESTS[rules], ...changes })).toThrow(
    expect.objectContaining({ message: sentence }),
  );
});

it('an update checks only the fields of its data that the mask names', () => {
  const request = {
    updateMask: ['data.expire_time', 'data.caveats'],
    data: { ...data, contributor: '', galleries: [] },
  };
  expect(onlyNamedFields(request).data).toEqual({ caveats: [], expireTime: undefined });
  expect(onlyNamedFields({ updateMask: ['samples'], data }).data).toEqual({});
});
