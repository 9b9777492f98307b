/** Every role, call and purpose, on records of every kind: the shipped policies permit what was meant, no more or less. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ACTIONS, PURPOSES, type Action } from '../../src/access/actions.ts';
import { ROLES, type Role } from '../../src/access/principal.ts';
import type { RecordFacts } from '../../src/access/grant.ts';
import { RECORD_ACTIONS } from '../../src/access/record-class.ts';
import { clientWith, outcomeOf, PROVENANCES, recordWith, shippedDecisions } from './clients.ts';
import { mayCall, mayDo } from './expected-access.ts';

const CAVEATS = [
  ...['REL-AGENCY-A', 'REL-AGENCY-C', 'ORCON', 'POLICE-ONLY', 'BATTLEFIELD-ONLY', 'NO-ONWARD', 'RESTRICTED'],
  ...['CONFIDENTIAL', 'SECRET', 'MINOR', 'SUSPENDED', 'SILENT', 'X-ARMED', 'POLICE_ONLY', 'REL-'],
];

const decisions = await shippedDecisions();

it('every call, by role, purpose and contributor', () => {
  const wrong: string[] = [];
  let cells = 0;
  for (const role of ROLES)
    for (const call of ACTIONS)
      for (const purpose of PURPOSES)
        for (const contributor of [undefined, 'agency-a', 'agency-b']) {
          for (const [galleries, kind] of [
            ['all', 'person'],
            [new Set(['watchlist']), 'person'],
            [new Set(['watchlist']), 'machine'],
          ] as const) {
            const client = clientWith([role], { clientId: role, galleries, kind });
            const named = contributor === undefined ? {} : { contributor };
            const outcome = outcomeOf(decisions, client, call, purpose, named);
            if ((outcome === 'granted') !== mayCall(client, call, purpose, contributor))
              wrong.push(
                `${role} ${call} ${purpose} ${contributor ?? ''} ${galleries === 'all' ? 'all galleries' : ''} ${kind}: ${outcome}`,
              );
            cells++;
          }
        }
  expect(wrong).toEqual([]);
  expect(cells).toBe(9 * 27 * 5 * 3 * 3);
});

it('every call of two roles together', () => {
  const wrong: string[] = [];
  for (const [i, one] of ROLES.entries())
    for (const other of ROLES.slice(i + 1))
      for (const call of ACTIONS)
        for (const purpose of ['none', 'investigation'] as const) {
          const client = clientWith([one, other], { clientId: `${one}-${other}`, kind: 'person' });
          const outcome = outcomeOf(decisions, client, call, purpose);
          if ((outcome === 'granted') !== mayCall(client, call, purpose))
            wrong.push(`${one} ${other} ${call} ${purpose}`);
        }
  expect(wrong).toEqual([]);
});

it('the client of the machine itself', () => {
  const local = clientWith(ROLES, { clientId: 'local', agency: 'local', agencyCode: 'LOCAL', galleries: 'all' });
  const wrong: string[] = [];
  for (const call of ACTIONS)
    for (const purpose of PURPOSES) {
      if (
        (outcomeOf(decisions, local, call, purpose, { contributor: 'agency-b' }) === 'granted') !==
        mayCall(local, call, purpose)
      )
        wrong.push(`${call} ${purpose}`);
      for (const caveat of [...CAVEATS, undefined])
        for (const action of RECORD_ACTIONS) {
          const record = recordWith({ caveats: caveat === undefined ? [] : [caveat] });
          if (
            decisions.allowsRecord(local, action, call, purpose, record) !== mayDo(local, action, call, purpose, record)
          )
            wrong.push(`${action} ${call} ${purpose} ${caveat ?? ''}`);
        }
    }
  expect(wrong).toEqual([]);
  const grant = decisions.authorize(local, { action: 'update', purpose: 'none', galleries: [] });
  expect([grant.changes(recordWith()), grant.sees(recordWith())]).toEqual([true, true]);
  expect(grant.sees(recordWith({ caveats: ['ORCON'] }))).toBe(false);
});

const HANDLES_NO_RECORDS: readonly Role[] = ['operator', 'auditor', 'monitor', 'administrator'];

/** Calls that search, show or change records. */
const RECORD_CALLS: readonly Action[] = [
  ...(['identify', 'verify', 'compare', 'enroll', 'update'] as const),
  ...(['propose-expunge', 'approve-expunge'] as const),
  ...(['expunge', 'get-subject', 'list-subjects', 'find-duplicates', 'watch-hits', 'read-status'] as const),
  ...(['read-cases', 'review-case', 'decide-conflict', 'report-outcome'] as const),
];

it.each(ROLES)('everything that a call of the role %s does with records of one caveat', (role) => {
  const client = clientWith([role], { clientId: role, kind: 'person' });
  // Of roles that handle no records, the plain ones say enough.
  const caveats = HANDLES_NO_RECORDS.includes(role) ? [] : CAVEATS;
  const records: RecordFacts[] = ['agency-a', 'agency-b'].flatMap((contributor) => [
    ...caveats.map((caveat) => recordWith({ contributor, caveats: [caveat] })),
    recordWith({ contributor }),
    recordWith({ contributor, provenance: 'synthetic' }),
  ]);
  // The calls of the role, and one that it may not make.
  const made = RECORD_CALLS.filter((call) => mayCall(client, call, 'none') || mayCall(client, call, 'test'));
  const calls = [...made, ...RECORD_CALLS.filter((call) => !made.includes(call)).slice(0, 1)];
  const wrong: string[] = [];
  for (const record of records)
    for (const call of calls)
      for (const purpose of PURPOSES)
        for (const action of RECORD_ACTIONS)
          if (
            decisions.allowsRecord(client, action, call, purpose, record) !==
            mayDo(client, action, call, purpose, record)
          )
            wrong.push([action, call, purpose, record.contributor, record.provenance, ...record.caveats].join(' '));
  expect(wrong).toEqual([]);
});

const client = fc
  .record({
    roles: fc.subarray([...ROLES]),
    purposes: fc.subarray([...PURPOSES]),
    clearance: fc.integer({ min: 0, max: 3 }),
    agency: fc.constantFrom('a', 'b', 'c'),
    kind: fc.constantFrom('machine', 'person'),
  })
  .map(({ roles, purposes, clearance, agency, kind }) =>
    clientWith(roles, {
      kind,
      purposes: new Set(purposes),
      clearance,
      agency: `agency-${agency}`,
      agencyCode: `AGENCY-${agency.toUpperCase()}`,
    }),
  );
const record = fc.record({
  contributor: fc.constantFrom('agency-a', 'agency-b'),
  caveats: fc.subarray(CAVEATS, { maxLength: 4 }),
  provenance: fc.constantFrom(...PROVENANCES),
});

it('clients of several roles, and records of several caveats', () => {
  fc.assert(
    fc.property(client, record, (one, held) => {
      for (const call of RECORD_CALLS.filter((name) => mayCall(one, name, 'investigation') || name === 'get-subject'))
        for (const purpose of PURPOSES) {
          expect(outcomeOf(decisions, one, call, purpose) === 'granted').toBe(mayCall(one, call, purpose));
          for (const action of RECORD_ACTIONS)
            expect(decisions.allowsRecord(one, action, call, purpose, held), [action, call, purpose].join(' ')).toBe(
              mayDo(one, action, call, purpose, held),
            );
        }
    }),
    { numRuns: 100 },
  );
});

it('a client without roles may do nothing', () => {
  const nobody = clientWith([] as Role[], { galleries: 'all', clearance: 3 });
  expect(ACTIONS.filter((call) => decisions.mayTake(nobody, call))).toEqual([]);
  const own = recordWith({ contributor: nobody.agency, provenance: 'synthetic' });
  for (const call of ACTIONS)
    for (const action of RECORD_ACTIONS)
      expect(decisions.allowsRecord(nobody, action, call, 'none', own), `${action} ${call}`).toBe(false);
});

it('a further caveat opens nothing, except that REL- names an agency', () => {
  const further = fc.constantFrom(...CAVEATS);
  fc.assert(
    fc.property(client, record, further, (one, held, caveat) => {
      fc.pre(caveat !== `REL-${one.agencyCode}`);
      const more = { ...held, caveats: [...held.caveats, caveat] };
      for (const call of ['identify', 'get-subject', 'update'] as const)
        for (const purpose of ['none', 'investigation', 'border-check'] as const)
          for (const action of RECORD_ACTIONS)
            if (decisions.allowsRecord(one, action, call, purpose, more))
              expect(decisions.allowsRecord(one, action, call, purpose, held)).toBe(true);
    }),
    { numRuns: 100 },
  );
});
