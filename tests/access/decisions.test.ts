import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Action, Purpose } from '../../src/access/actions.ts';
import { Decisions } from '../../src/access/decisions.ts';
import type { Client } from '../../src/access/principal.ts';
import { MAX_NUMBERED_CLASSES } from '../../src/access/record-numbers.ts';
import { clientWith, loadPolicies, outcomeOf, recordWith, shippedDecisions } from './clients.ts';

const policies = await loadPolicies();
const decisions = await shippedDecisions();

/** Decisions, with the number of questions that reach the policies. */
function counted(galleries: readonly string[] = ['watchlist']) {
  const { current } = policies;
  let questions = 0;
  const set = Object.create(current, {
    permits: {
      value: (question: Parameters<typeof current.permits>[0]) => {
        questions++;
        return current.permits(question);
      },
    },
  }) as typeof current;
  const known = { count: galleries.length, all: galleries };
  return { decisions: new Decisions({ current: set }, known), known, questions: () => questions };
}

const identify = (
  client: Client,
  on: Decisions,
  galleries: readonly string[] = [],
  purpose: Purpose = 'investigation',
) => on.authorize(client, { action: 'identify', purpose, galleries });

describe('a refusal', () => {
  const checkpoint = clientWith(['checkpoint'], { purposes: new Set(['border-check']) });

  it('says what is missing', () => {
    expect(outcomeOf(decisions, checkpoint, 'verify', 'border-check')).toBe('ACTION_NOT_PERMITTED');
    expect(outcomeOf(decisions, checkpoint, 'identify', 'investigation')).toBe('PURPOSE_NOT_PERMITTED');
    expect(outcomeOf(decisions, checkpoint, 'identify', 'none')).toBe('PURPOSE_NOT_PERMITTED');
    const contributor = clientWith(['contributor']);
    expect(outcomeOf(decisions, contributor, 'enroll', 'none', { contributor: 'agency-b' })).toBe(
      'CONTRIBUTOR_NOT_PERMITTED contributor',
    );
  });

  it('names the gallery by its place, whether it exists or not', () => {
    const galleries = (name: string) => ({ galleries: ['watchlist', name] });
    for (const name of ['other', 'never-existed', 'WATCHLIST', '', 'watchlist\0', '__proto__'])
      expect(outcomeOf(decisions, checkpoint, 'identify', 'border-check', galleries(name)), name).toBe(
        'GALLERY_NOT_PERMITTED galleries[1]',
      );
  });

  it('has the same sentence whatever the caller sent', () => {
    const sentences = ['other', 'never-existed'].map((name) => {
      try {
        identify(checkpoint, decisions, [name], 'border-check');
        return 'granted';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(sentences[0]).toBe(sentences[1]);
    expect(sentences[0]).toBe('The client is not permitted to make this call in this gallery.');
  });

  it('of a gallery or purpose that the client was not given costs no decision', () => {
    const { decisions: fresh, questions } = counted();
    const client = clientWith(['examiner'], { purposes: new Set(['investigation']) });
    expect(outcomeOf(fresh, client, 'identify', 'investigation')).toBe('granted');
    const asked = questions();
    expect(outcomeOf(fresh, client, 'identify', 'investigation', { galleries: ['other'] })).toContain('galleries[0]');
    expect(outcomeOf(fresh, client, 'identify', 'test')).toBe('PURPOSE_NOT_PERMITTED');
    expect(fresh.allowsRecord(client, 'see-record', 'identify', 'test', recordWith())).toBe(false);
    expect(questions()).toBe(asked);
  });

  it('of more galleries than a call may name costs no decision', () => {
    const { decisions: fresh, questions } = counted();
    const galleries = Array.from({ length: 65 }, (_, i) => `g${i}`);
    expect(outcomeOf(fresh, clientWith(['examiner'], { galleries: 'all' }), 'identify', 'test', { galleries })).toBe(
      'GALLERY_NOT_PERMITTED galleries',
    );
    expect(questions()).toBe(0);
  });
});

describe('the galleries of a grant', () => {
  const galleriesOf = (client: Client, on: Decisions, galleries: readonly string[] = []) => [
    ...identify(client, on, galleries).galleries,
  ];

  it('are those named, else those of the client, else all', () => {
    const two = clientWith(['examiner'], { galleries: new Set(['other', 'watchlist', 'not-yet']) });
    const later = clientWith(['examiner'], { galleries: new Set(['not-yet']), clientId: 'later' });
    const all = clientWith(['examiner'], { galleries: 'all', clientId: 'all' });
    expect(galleriesOf(two, decisions, ['other'])).toEqual(['other']);
    expect(galleriesOf(two, decisions, ['not-yet'])).toEqual(['not-yet']);
    // One in which no subject was ever enrolled is no reason to refuse a search of the others.
    expect(galleriesOf(two, decisions).sort()).toEqual(['other', 'watchlist']);
    expect(galleriesOf(later, decisions)).toEqual(['not-yet']);
    expect(galleriesOf(all, decisions, ['cleared'])).toEqual(['cleared']);
    expect(galleriesOf(all, decisions)).toEqual([]);
  });

  it('are never all for a client without galleries', () => {
    const none = clientWith(['examiner'], { galleries: new Set() });
    expect(outcomeOf(decisions, none, 'identify', 'investigation', { galleries: [] })).toBe(
      'GALLERY_NOT_PERMITTED galleries',
    );
    expect(outcomeOf(decisions, clientWith(['operator'], { galleries: new Set() }), 'read-status', 'none')).toBe(
      'granted',
    );
  });

  it('leave out one that a policy forbids, also where a client may use all', async () => {
    const { PolicySet } = await import('../../src/access/policy-set.ts');
    const { readPolicyTexts } = await import('../../src/access/policy-files.ts');
    const texts = await readPolicyTexts(undefined);
    const own = {
      name: 'closed.cedar',
      origin: 'own' as const,
      text: 'forbid (principal, action, resource == Ridgewatch::Gallery::"closed");',
    };
    const set = await PolicySet.compile({ ...texts, files: [...texts.files, own] }, () => undefined);
    const known = { count: 2, all: ['watchlist', 'cleared'] };
    const on = new Decisions({ current: set }, known);
    const all = clientWith(['examiner'], { galleries: 'all' });
    const some = clientWith(['examiner'], { galleries: new Set(['closed', 'watchlist']), clientId: 'some' });
    const only = clientWith(['examiner'], { galleries: new Set(['closed']), clientId: 'only' });
    expect(galleriesOf(all, on)).toEqual([]);
    // The gallery comes into being: all without it is a list.
    known.all = [...known.all, 'closed'];
    known.count = 3;
    expect(galleriesOf(all, on)).toEqual(['watchlist', 'cleared']);
    expect(galleriesOf(some, on)).toEqual(['watchlist']);
    expect(outcomeOf(on, only, 'identify', 'test', { galleries: [] })).toBe('GALLERY_NOT_PERMITTED galleries');
    expect(outcomeOf(on, all, 'identify', 'test', { galleries: ['closed'] })).toBe(
      'GALLERY_NOT_PERMITTED galleries[0]',
    );
  });

  it('are within the list of the client, whatever is asked for', () => {
    const names = fc.subarray(['watchlist', 'cleared', 'training', 'other']);
    fc.assert(
      fc.property(names, names, (own, asked) => {
        const client = clientWith(['examiner'], { galleries: new Set(own) });
        const isWithin = asked.length === 0 ? own.length > 0 : asked.every((name) => own.includes(name));
        expect(outcomeOf(decisions, client, 'identify', 'test', { galleries: asked }) === 'granted').toBe(isWithin);
        const given = isWithin ? galleriesOf(client, decisions, asked) : [];
        expect(given.filter((name) => !own.includes(name))).toEqual([]);
        if (asked.length > 0) expect(given).toEqual(isWithin ? asked : []);
      }),
      { numRuns: 60 },
    );
  });
});

describe('disclosure', () => {
  const exact = { scores: 'exact', rates: 'exact', explanations: true };
  const rounded = { scores: 'none', rates: 'powers', explanations: false };

  it('is exact for examiners in investigations, and for tests on synthetic records', () => {
    const examiner = clientWith(['examiner']);
    const engineer = clientWith(['engineer'], { clientId: 'engineer' });
    expect(identify(examiner, decisions).discloses(recordWith())).toEqual(exact);
    expect(identify(examiner, decisions, [], 'border-check').discloses(recordWith())).toEqual(rounded);
    const test = identify(engineer, decisions, [], 'test');
    expect(test.discloses(recordWith({ provenance: 'synthetic' }))).toEqual(exact);
    expect(test.discloses(recordWith())).toEqual(rounded);
  });

  it('of samples that the caller sent follows its role and purpose', () => {
    const compare = (client: Client, purpose: Purpose) =>
      decisions.authorize(client, { action: 'compare', purpose, galleries: [] }).discloses(undefined);
    expect(compare(clientWith(['examiner']), 'investigation')).toEqual(exact);
    expect(compare(clientWith(['examiner']), 'border-check')).toEqual(rounded);
    expect(compare(clientWith(['checkpoint'], { clientId: 'gate' }), 'border-check')).toEqual(rounded);
    expect(compare(clientWith(['engineer'], { clientId: 'engineer' }), 'test')).toEqual(exact);
  });

  it('is withheld where the owner controls it', () => {
    const grant = identify(clientWith(['examiner']), decisions);
    const record = recordWith({ caveats: ['REL-AGENCY-A', 'ORCON'] });
    expect([grant.searches(record), grant.sees(record)]).toEqual([true, true]);
    expect(grant.discloses(record)).toEqual(rounded);
    expect(grant.discloses(recordWith({ caveats: ['NO-ONWARD'] }))).toEqual(rounded);
  });
});

describe('changes', () => {
  it('are of the own agency, and removal is a question of its own', () => {
    const client = clientWith(['contributor']);
    const grantOf = (action: Action) => decisions.authorize(client, { action, purpose: 'none', galleries: [] });
    const own = recordWith({ contributor: 'agency-a' });
    for (const action of ['enroll', 'update', 'expunge'] as const) {
      expect(grantOf(action).changes(own), action).toBe(true);
      expect(grantOf(action).changes(recordWith()), action).toBe(false);
    }
    expect(grantOf('get-subject').changes(own)).toBe(false);
  });
});

describe('kept decisions', () => {
  it('ask the policies once for a record class, by object and by value', () => {
    const { decisions: fresh, questions } = counted();
    const client = clientWith(['examiner']);
    const grant = identify(client, fresh);
    const record = recordWith({ caveats: ['B', 'A'] });
    grant.searches(record);
    const asked = questions();
    for (let i = 0; i < 100; i++) grant.searches(record);
    grant.searches(recordWith({ caveats: ['A', 'B', 'A'] }));
    identify(client, fresh).searches(record);
    expect(questions()).toBe(asked);
    grant.sees(record);
    grant.searches(recordWith({ caveats: ['MINOR'] }));
    expect(questions()).toBe(asked + 2);
  });

  it('are made anew for a client that changed', () => {
    const { decisions: fresh } = counted();
    expect(outcomeOf(fresh, clientWith(['examiner']), 'identify', 'test')).toBe('granted');
    expect(outcomeOf(fresh, clientWith(['monitor']), 'identify', 'test')).toBe('ACTION_NOT_PERMITTED');
    expect(outcomeOf(fresh, clientWith(['examiner'], { purposes: new Set() }), 'identify', 'test')).toBe(
      'ACTION_NOT_PERMITTED',
    );
  });

  it('do not mix contributor and gallery, purposes or calls', () => {
    const client = clientWith(['contributor', 'examiner'], { galleries: 'all' });
    expect(outcomeOf(decisions, client, 'enroll', 'none', { contributor: 'agency-a' })).toBe('granted');
    expect(outcomeOf(decisions, client, 'enroll', 'none', { contributor: 'watchlist' })).toBe(
      'CONTRIBUTOR_NOT_PERMITTED contributor',
    );
    const record = recordWith();
    expect(identify(client, decisions).sees(record)).toBe(true);
    expect(decisions.authorize(client, { action: 'list-subjects', purpose: 'none', galleries: [] }).sees(record)).toBe(
      false,
    );
  });

  it('stay bounded: callers may name what they like', () => {
    const { decisions: fresh, questions } = counted();
    const client = clientWith(['contributor'], { galleries: 'all' });
    const enroll = (name: string) => fresh.authorize(client, { action: 'enroll', purpose: 'none', galleries: [name] });
    for (let i = 0; i < 300; i++) enroll(`g${i}`);
    const asked = questions();
    enroll('g299');
    expect(questions()).toBe(asked);
    enroll('g0');
    expect(questions()).toBeGreaterThan(asked);
  });

  it('of more record classes than are numbered are still right, and the next call begins anew', () => {
    const { decisions: fresh } = counted();
    const client = clientWith(['examiner']);
    const grant = identify(client, fresh);
    const records = Array.from({ length: MAX_NUMBERED_CLASSES + 10 }, (_, i) =>
      recordWith({ contributor: `agency-${i}`, caveats: i % 2 === 0 ? ['MINOR'] : [] }),
    );
    const isRight = () => records.every((record, i) => grant.searches(record) === (i % 2 === 1));
    expect(isRight()).toBe(true);
    expect(isRight()).toBe(true);
    const next = identify(client, fresh);
    expect(next).not.toBe(grant);
    expect([next.searches(recordWith()), next.searches(recordWith({ caveats: ['MINOR'] }))]).toEqual([true, false]);
    expect(identify(client, fresh)).toBe(next);
  });
});
