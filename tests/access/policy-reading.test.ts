/** Classes that policies cannot tell apart are decided once: whatever the policies, with the same answers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actionUid, clientEntity, recordClassEntity, recordContext } from '../../src/access/cedar-entities.ts';
import { Decisions } from '../../src/access/decisions.ts';
import { readPolicyTexts } from '../../src/access/policy-files.ts';
import { PolicySet } from '../../src/access/policy-set.ts';
import { clientWith, loadPolicies, recordWith } from './clients.ts';

const KNOWN = { count: 1, all: ['watchlist'] };

async function compiled(text: string): Promise<PolicySet> {
  const texts = await readPolicyTexts(undefined);
  const file = { name: 'own.cedar', origin: 'own' as const, text };
  return PolicySet.compile({ ...texts, files: [...texts.files, file] }, ({ action }) => {
    throw new Error(`no decision about ${action}`);
  });
}

const forbids = (expression: string) =>
  `forbid (principal, action == Ridgewatch::Action::"search-record", resource) when { ${expression} };`;

/** Conditions that look at names of records in every way that Cedar has. */
const CONDITIONS = [
  'resource.contributor == "agency-b"',
  'resource.contributor != principal.agency',
  'resource.contributor like "agency-*c"',
  'principal.galleries.contains(resource.contributor)',
  '(if principal.allGalleries then resource.contributor else resource.contributor) == "agency-d"',
  '["agency-b", "agency-c"].contains(resource.contributor)',
  'resource.caveats.isEmpty()',
  'resource.caveats == ["X-ONE"]',
  'resource.caveats == resource.releasableTo',
  'resource.caveats.contains(principal.agencyCode)',
  'resource.caveats.containsAll(["X-ONE", "X-TWO"])',
  'resource.caveats.containsAny(principal.galleries)',
  'principal.galleries.containsAll(resource.caveats)',
  'resource.caveats.contains(resource.contributor)',
  'resource.releasableTo.contains(principal.agency)',
  'resource.releasableTo.isEmpty() && resource.isReleaseLimited',
  '!(resource.releasableTo.containsAny(["AGENCY-C"]))',
];

const record = fc.record({
  contributor: fc.constantFrom('agency-a', 'agency-b', 'agency-bc', 'agency-c', 'agency-d', 'watchlist', 'X-ONE'),
  caveats: fc.subarray(['X-ONE', 'X-TWO', 'X-THREE', 'REL-AGENCY-A', 'REL-AGENCY-C', 'REL-agency-a', 'ORCON']),
  provenance: fc.constant('field'),
});

it.each(CONDITIONS)('policies that read: %s', async (condition) => {
  const set = await compiled(forbids(condition));
  const client = clientWith(['checkpoint'], {
    galleries: new Set(['watchlist', 'X-ONE', 'X-TWO']),
    agencyCode: 'X-TWO',
  });
  const decisions = new Decisions({ current: set }, KNOWN);
  const everything = { ...set.reading, examined: new Set(['contributor', 'caveats', 'releasableTo']) };
  fc.assert(
    fc.property(record, (held) => {
      const plain = set.permits({
        principal: clientEntity(client),
        action: actionUid('search-record'),
        resource: recordClassEntity(held, everything, client),
        context: recordContext('border-check', 'identify'),
      });
      expect(decisions.allowsRecord(client, 'search-record', 'identify', 'border-check', held)).toBe(plain);
    }),
    { numRuns: 40 },
  );
});

describe('the shipped policies', () => {
  it('tell a thousand classes of many agencies apart by few questions', async () => {
    const { current } = await loadPolicies();
    let questions = 0;
    const set = Object.create(current, {
      permits: {
        value: (question: Parameters<typeof current.permits>[0]) => {
          questions++;
          return current.permits(question);
        },
      },
    }) as typeof current;
    const decisions = new Decisions({ current: set }, KNOWN);
    const codes = ['X-ARMED', 'X-DRUGS', 'REL-THIRD', 'NO-ONWARD', 'MINOR'];
    const records = Array.from({ length: 1024 }, (_, i) =>
      recordWith({ contributor: `agency-${i % 40}`, caveats: codes.filter((_code, bit) => (i >> bit) & 1) }),
    );
    const gates = ['gate-1', 'gate-2'].map((clientId) => clientWith(['checkpoint'], { clientId }));
    const answers = gates.map((gate) =>
      records.map((held) => decisions.allowsRecord(gate, 'search-record', 'identify', 'border-check', held)),
    );
    // What differs to policies: REL-, NO-ONWARD, MINOR. The second gate asks nothing.
    expect(questions).toBe(8);
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0]?.filter(Boolean)).toHaveLength(256);
  });
});

it.each([
  'forbid (principal == Ridgewatch::Client::"gate-2", action, resource);',
  'forbid (principal, action, resource) when { principal == Ridgewatch::Client::"gate-2" };',
  'forbid (principal in Ridgewatch::Client::"gate-2", action, resource);',
  'forbid (principal is Ridgewatch::Client in Ridgewatch::Client::"gate-2", action, resource);',
  'forbid (principal, action, resource) when { [Ridgewatch::Client::"gate-2"].contains(principal) };',
])('equal clients are decided apart where a policy names one: %s', async (text) => {
  const set = await compiled(text);
  expect([...set.reading.clients].sort()).toEqual(['gate-2', 'local']);
  const decisions = new Decisions({ current: set }, KNOWN);
  const may = ['gate-1', 'gate-2', 'gate-3'].map((clientId) =>
    decisions.mayTake(clientWith(['checkpoint'], { clientId }), 'identify'),
  );
  expect(may).toEqual([true, false, true]);
});
