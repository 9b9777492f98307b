import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ACTIONS, PURPOSES } from '../../src/access/actions.ts';
import { requireKnownCaveats } from '../../src/access/caveats.ts';
import { newCedar } from '../../src/access/cedar-engine.ts';
import {
  actionUid,
  callContext,
  clientEntity,
  galleryEntity,
  recordClassEntity,
  recordContext,
  SERVICE,
} from '../../src/access/cedar-entities.ts';
import { Decisions } from '../../src/access/decisions.ts';
import { readPolicyTexts } from '../../src/access/policy-files.ts';
import { PolicyReader } from '../../src/access/policy-reading.ts';
import { PoliciesInForce, type DecisionFault } from '../../src/access/policy-set.ts';
import { ROLES } from '../../src/access/principal.ts';
import { RECORD_ACTIONS } from '../../src/access/record-class.ts';
import { clientWith, loadPolicies, outcomeOf, PROVENANCES, recordWith } from './clients.ts';

const SHIPPED = resolve(import.meta.dirname, '../../src/access/policies');
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A folder of own policies. */
function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'policies-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

const rejection = (folder: string) =>
  loadPolicies(folder).then(
    () => 'loaded',
    ({ kind, reason, message }: { kind: string; reason: string; message: string }) => `${kind} ${reason} ${message}`,
  );

const when = (expression: string) => `forbid (principal, action, resource) when { ${expression} };`;
const PERMIT_ALL = 'permit (principal, action, resource);';
const KEEP = { count: 1, all: ['watchlist'] };

describe('the shipped policies', () => {
  it('are valid, without warnings, and as the formatter writes them', async () => {
    const cedar = newCedar();
    const { schema, files } = await readPolicyTexts(undefined);
    expect(files.length).toBeGreaterThan(15);
    for (const { name, text } of files) {
      expect(cedar.validate({ schema, policies: { staticPolicies: text } }), name).toEqual({
        type: 'success',
        validationErrors: [],
        validationWarnings: [],
        otherWarnings: [],
      });
      const formatted = cedar.formatPolicies({ policyText: text, lineWidth: 118, indentWidth: 2 });
      expect(formatted, name).toEqual({ type: 'success', formatted_policy: text });
    }
  });

  it('limit clients to their purposes and galleries by themselves', async () => {
    const { current } = await loadPolicies(folderWith({ 'all.cedar': PERMIT_ALL }));
    const permits = (changes: Parameters<typeof clientWith>[1], resource = SERVICE) =>
      current.permits({
        principal: clientEntity(clientWith(['examiner'], changes)),
        action: actionUid('identify'),
        resource,
        context: callContext('investigation', undefined),
      });
    expect(permits({ purposes: new Set(['investigation']) })).toBe(true);
    expect(permits({ purposes: new Set(['border-check', 'test']) })).toBe(false);
    expect(permits({}, galleryEntity('watchlist'))).toBe(true);
    expect(permits({}, galleryEntity('other'))).toBe(false);
    expect(permits({ galleries: 'all' }, galleryEntity('other'))).toBe(true);
  });

  it('have names of their own for every policy', async () => {
    const { current } = await loadPolicies();
    expect(current.policyIds.filter((id) => !/^[a-z-]+\/[a-z-]+$/.test(id))).toEqual([]);
    expect(new Set(current.policyIds).size).toBe(current.policyIds.length);
  });

  it('have a schema with the names that the service uses', async () => {
    const { schema } = await readPolicyTexts(undefined);
    const answer = newCedar().schemaToJson(schema);
    if (answer.type !== 'success') throw new Error('the schema is malformed');
    const { entityTypes, actions } = answer.json['Ridgewatch'] ?? { entityTypes: {}, actions: {} };
    const names = (type: string) => (entityTypes[type] as { enum?: string[] } | undefined)?.enum?.toSorted();
    expect(names('Role')).toEqual([...ROLES].sort());
    expect(names('Purpose')).toEqual([...PURPOSES].sort());
    expect(names('Provenance')).toEqual([...PROVENANCES].sort());
    expect(names('Call')).toEqual([...ACTIONS].sort());
    expect(Object.keys(actions).sort()).toEqual([...ACTIONS, ...RECORD_ACTIONS].sort());
  });

  it('are asked with entities and contexts of this schema', async () => {
    const { schema } = await readPolicyTexts(undefined);
    const client = clientEntity(clientWith(ROLES));
    const record = recordClassEntity(recordWith({ caveats: ['REL-A', 'SECRET'] }), new PolicyReader(), clientWith([]));
    const questions = [
      { action: 'identify', resource: SERVICE, context: callContext('test', undefined) },
      { action: 'enroll', resource: galleryEntity('watchlist'), context: callContext('none', 'agency-a') },
      { action: 'see-record', resource: record, context: recordContext('none', 'get-subject') },
      { action: 'disclose-scores', resource: SERVICE, context: recordContext('test', 'compare') },
    ] as const;
    for (const { action, resource, context } of questions)
      expect(
        newCedar().isAuthorized({
          principal: client.uid,
          action: actionUid(action),
          resource: resource.uid,
          context,
          schema,
          validateRequest: true,
          policies: { staticPolicies: PERMIT_ALL },
          entities: [client, resource],
        }),
        action,
      ).toMatchObject({ type: 'success', response: { decision: 'allow', diagnostics: { errors: [] } } });
  });
});

describe('own policies', () => {
  it('are added: a permit opens what nothing forbids', async () => {
    const folder = folderWith({
      'night.cedar':
        'permit (principal == Ridgewatch::Client::"night", action == Ridgewatch::Action::"read-audit", resource);',
    });
    const decisions = new Decisions(await loadPolicies(folder), KEEP);
    expect(outcomeOf(decisions, clientWith(['monitor'], { clientId: 'night' }), 'read-audit', 'none')).toBe('granted');
    expect(outcomeOf(decisions, clientWith(['monitor'], { clientId: 'day' }), 'read-audit', 'none')).toBe(
      'ACTION_NOT_PERMITTED',
    );
  });

  it('do not open what a shipped policy forbids', async () => {
    const decisions = new Decisions(await loadPolicies(folderWith({ 'all.cedar': PERMIT_ALL })), KEEP);
    const client = clientWith(['checkpoint'], { purposes: new Set(['border-check']) });
    expect(outcomeOf(decisions, client, 'verify', 'border-check')).toBe('granted');
    expect(outcomeOf(decisions, client, 'verify', 'investigation')).toBe('PURPOSE_NOT_PERMITTED');
    expect(outcomeOf(decisions, client, 'identify', 'border-check', { galleries: ['watchlist', 'other'] })).toBe(
      'GALLERY_NOT_PERMITTED galleries[1]',
    );
    const grant = decisions.authorize(client, { action: 'verify', purpose: 'border-check', galleries: [] });
    expect(grant.searches(recordWith())).toBe(true);
    for (const caveat of ['SUSPENDED', 'MINOR', 'SECRET', 'REL-AGENCY-C', 'ORCON', 'POLICE-ONLY', 'MISSPELT'])
      expect(grant.searches(recordWith({ caveats: [caveat] })), caveat).toBe(false);
    expect(grant.changes(recordWith())).toBe(false);
  });

  it('forbid: a forbid wins over every permit', async () => {
    const folder = folderWith({ 'closed.cedar': when('true'), 'all.cedar': PERMIT_ALL });
    const decisions = new Decisions(await loadPolicies(folder), KEEP);
    const client = clientWith(ROLES, { galleries: 'all' });
    expect(ACTIONS.filter((action) => decisions.mayTake(client, action))).toEqual([]);
  });

  it('replace a shipped file of the same name, and say so', async () => {
    const folder = folderWith({ 'minors.cedar': '// Minors are searched here.\n' });
    const policies = await loadPolicies(folder);
    expect(policies.current.texts.replaced).toEqual(['minors.cedar']);
    const decisions = new Decisions(policies, KEEP);
    const client = clientWith(['checkpoint']);
    const grant = decisions.authorize(client, { action: 'identify', purpose: 'border-check', galleries: [] });
    // No policy reads MINOR any more: a caveat that restricts nothing is unknown, not ignored.
    expect(grant.searches(recordWith({ caveats: ['MINOR'] }))).toBe(false);
    writeFileSync(
      join(folder, 'minors.cedar'),
      `forbid (principal, action == Ridgewatch::Action::"search-record", resource)
       when { resource.minor } unless { context.purpose == Ridgewatch::Purpose::"border-check" };`,
    );
    await policies.reload();
    const border = decisions.authorize(client, { action: 'identify', purpose: 'border-check', galleries: [] });
    const visa = decisions.authorize(client, { action: 'identify', purpose: 'application', galleries: [] });
    expect(border.searches(recordWith({ caveats: ['MINOR'] }))).toBe(true);
    expect(visa.searches(recordWith({ caveats: ['MINOR'] }))).toBe(false);
  });

  it('give caveats of their own a meaning: found, but seen by the owner only', async () => {
    const folder = folderWith({
      'silent.cedar': `forbid (principal, action == Ridgewatch::Action::"see-record", resource)
        when { resource.caveats.contains("DISCREET") } unless { resource.contributor == principal.agency };`,
    });
    const decisions = new Decisions(await loadPolicies(folder), KEEP);
    const ask = { action: 'identify', purpose: 'investigation', galleries: [] } as const;
    const record = recordWith({ caveats: ['DISCREET'] });
    const other = decisions.authorize(clientWith(['examiner']), ask);
    const owner = decisions.authorize(clientWith(['examiner'], { clientId: 'owner', agency: 'agency-b' }), ask);
    expect([other.searches(record), other.sees(record)]).toEqual([true, false]);
    expect(other.discloses(record)).toEqual({ scores: 'none', rates: 'powers', explanations: false });
    expect([owner.searches(record), owner.sees(record)]).toEqual([true, true]);
    expect(owner.discloses(record).scores).toBe('exact');
  });
});

describe('caveats of records to be stored', () => {
  it('are known when a policy reads them, or labels', async () => {
    const { current } = await loadPolicies(
      folderWith({
        'own.cedar': when('resource.caveats.contains("DISCREET")').replace(
          'resource)',
          'resource is Ridgewatch::RecordClass)',
        ),
      }),
    );
    const shipped = (await loadPolicies()).current;
    const known = [
      'ORCON',
      'REL-AGENCY-A',
      'SECRET',
      'MINOR',
      'SUSPENDED',
      'POLICE-ONLY',
      'NO-ONWARD',
      'X-',
      'X-ARMED',
    ];
    expect(() => requireKnownCaveats([...known, 'DISCREET'], current.reading)).not.toThrow();
    for (const caveat of ['DISCREET', 'REL-', 'REL', 'POLICEONLY', 'secret', '', 'TOP-SECRET', 'identify'])
      expect(() => requireKnownCaveats(['X-ARMED', caveat], shipped.reading), caveat).toThrow(
        expect.objectContaining({ reason: 'CAVEAT_UNKNOWN', detail: { field: 'caveats[1]' } }),
      );
  });
});

describe('bad policies', () => {
  it.each([
    [
      'a role that does not exist',
      when('principal.roles.contains(Ridgewatch::Role::"examner")'),
      /column \d+: .*examner/,
    ],
    ['an attribute that does not exist', when('resource.contributr == "a"'), /contributr/],
    ['an action that does not exist', 'permit (principal, action == Ridgewatch::Action::"serch", resource);', /serch/],
    ['a wrong type', when('context.purpose == "test"'), /line 1/],
    [
      'a policy that never applies',
      'forbid (principal, action == Ridgewatch::Action::"identify", resource is Ridgewatch::RecordClass);',
      /unable to find an applicable action/,
    ],
    ['a template', 'permit (principal == ?principal, action, resource);', /template/],
    ['no policy at all', 'hello', /line 1, column/],
    ['two of one id', `@id("a") ${PERMIT_ALL}\n@id("a") ${PERMIT_ALL}`, /@id/],
  ])('%s', async (_, text, message) => {
    const answer = await rejection(folderWith({ 'own.cedar': text }));
    expect(answer).toMatch(/^failed-precondition POLICIES_INVALID Policies, own\.cedar/);
    expect(answer).toMatch(message);
  });

  it('say where the fault is', async () => {
    const text = `// é\n${PERMIT_ALL}\n  forbid (principal, action, resource) when { principal.rolls };\n`;
    expect(await rejection(folderWith({ 'own.cedar': text }))).toMatch(/own\.cedar, line 3, column 47: /);
  });

  it.each([
    ['parentheses', `${'('.repeat(20_000)}true${')'.repeat(20_000)}`],
    ['alternatives', Array(2000).fill('principal.allGalleries').join(' || ')],
    ['alternatives short of the limit of Cedar', Array(150).fill('principal.allGalleries').join(' || ')],
    ['conditions', `${'if principal.allGalleries then true else '.repeat(1000)}false`],
    ['sets', `${'['.repeat(1000)}${']'.repeat(1000)}.isEmpty()`],
  ])('%s nested too deeply', async (_, expression) => {
    expect(await rejection(folderWith({ 'own.cedar': when(expression) }))).toMatch(
      /POLICIES_INVALID Policies, own\.cedar: a policy (is nested too deeply|has more than 80)/,
    );
  });

  it('of the depth that is allowed decide', async () => {
    const deepest = `permit (principal, action, resource) when { ${Array(78).fill('principal.allGalleries').join(' || ')} };`;
    const decisions = new Decisions(await loadPolicies(folderWith({ 'own.cedar': deepest })), KEEP);
    const client = clientWith([], { galleries: 'all' });
    expect(ACTIONS.filter((action) => !decisions.mayTake(client, action))).toEqual([]);
  });

  it('leave the old ones in force', async () => {
    const folder = folderWith({ 'own.cedar': when('context.purpose == Ridgewatch::Purpose::"test"') });
    const policies = await loadPolicies(folder);
    const decisions = new Decisions(policies, KEEP);
    const { current } = policies;
    writeFileSync(join(folder, 'own.cedar'), 'nonsense');
    await expect(policies.reload()).rejects.toMatchObject({ reason: 'POLICIES_INVALID' });
    expect(policies.current).toBe(current);
    expect(outcomeOf(decisions, clientWith(['examiner']), 'identify', 'test')).toBe('PURPOSE_NOT_PERMITTED');
    expect(outcomeOf(decisions, clientWith(['examiner']), 'identify', 'investigation')).toBe('granted');
  });
});

describe('hostile folders', () => {
  const refused = async (folder: string, message: RegExp) => expect(await rejection(folder)).toMatch(message);

  it('files, folders and policies beyond the limits', async () => {
    await refused(folderWith({ 'own.cedar': `// ${'x'.repeat(70_000)}\n` }), /own\.cedar has more than 65536 bytes/);
    const many = (count: number, text: string, ending = '.cedar') =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}${ending}`, text]));
    await refused(folderWith(many(65, PERMIT_ALL)), /more than 64 policy files/);
    await refused(folderWith(many(1001, '', '.txt')), /more than 1000 entries/);
    await refused(folderWith(many(5, `// ${'x'.repeat(60_000)}\n`)), /more than 262144 bytes/);
    await refused(folderWith(many(8, `${PERMIT_ALL}\n`.repeat(60))), /more than 500 policies/);
  });

  it('text that is not UTF-8, and names that could deceive', async () => {
    await refused(folderWith({ 'own.cedar': Buffer.from([0x2f, 0x2f, 0xff]) }), /own\.cedar is not text in UTF-8/);
    await refused(folderWith({ 'a b.cedar': PERMIT_ALL }), /name of other characters/);
  });

  it('pipes, folders and devices in the place of files', async () => {
    const pipe = folderWith({});
    execFileSync('mkfifo', [join(pipe, 'own.cedar')]);
    await refused(pipe, /own\.cedar is not a file/);
    const nested = folderWith({});
    mkdirSync(join(nested, 'own.cedar'));
    await refused(nested, /own\.cedar is not a file/);
    const device = folderWith({});
    symlinkSync('/dev/zero', join(device, 'own.cedar'));
    await refused(device, /own\.cedar links out of its folder/);
  });

  it('links out of the folder are not followed, and their content is not quoted', async () => {
    const outside = folderWith({ 'keys.json': 'planted-secret' });
    const folder = folderWith({});
    symlinkSync(join(outside, 'keys.json'), join(folder, 'own.cedar'));
    const answer = await rejection(folder);
    expect(answer).toMatch(/links out of its folder/);
    expect(answer).not.toContain('planted-secret');
    symlinkSync(outside, `${folder}/..data`);
    rmSync(join(folder, 'own.cedar'));
    symlinkSync('..data/keys.json', join(folder, 'own.cedar'));
    expect(await rejection(folder)).toMatch(/links out of its folder/);
  });

  it('links inside the folder are followed', async () => {
    const folder = folderWith({});
    mkdirSync(join(folder, '..1'));
    writeFileSync(join(folder, '..1', 'own.cedar'), when('true'));
    symlinkSync('..1', join(folder, '..data'));
    symlinkSync('..data/own.cedar', join(folder, 'own.cedar'));
    const { current } = await loadPolicies(folder);
    expect(current.policyIds).toContain('own/1');
  });

  it('a folder that does not exist', async () => {
    await refused('/nowhere/policies', /POLICIES_INVALID The folder of policies cannot be read/);
  });
});

describe('versions', () => {
  it('have a hash of all texts and names', async () => {
    const hashOf = async (files?: Record<string, string>) =>
      (await readPolicyTexts(files === undefined ? undefined : folderWith(files))).hash;
    const plain = await hashOf();
    expect(plain).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf({ 'notes.txt': 'not a policy' })).toBe(plain);
    const own = await hashOf({ 'a.cedar': PERMIT_ALL });
    expect(await hashOf({ 'a.cedar': PERMIT_ALL })).toBe(own);
    const variants = [
      plain,
      own,
      await hashOf({ 'aa.cedar': PERMIT_ALL }),
      await hashOf({ 'a.cedar': `${PERMIT_ALL} ` }),
    ];
    // A shipped file under its own name changes nothing.
    const minors = readFileSync(join(SHIPPED, 'minors.cedar'), 'utf8');
    expect(await hashOf({ 'minors.cedar': minors })).toBe(plain);
    expect(new Set([...variants, await hashOf({ 'minors.cedar': '' })]).size).toBe(5);
  });

  it('take effect for the next call; a call under way keeps its own', async () => {
    const folder = folderWith({});
    const policies = await loadPolicies(folder);
    const decisions = new Decisions(policies, KEEP);
    const client = clientWith(['examiner']);
    const request = { action: 'identify', purpose: 'investigation', galleries: [] } as const;
    const before = decisions.authorize(client, request);
    expect(await policies.reload()).toBe(false);
    expect(decisions.authorize(client, request)).toBe(before);
    writeFileSync(
      join(folder, 'own.cedar'),
      'forbid (principal, action == Ridgewatch::Action::"search-record", resource) when { resource.contributor == "agency-b" };',
    );
    expect(await policies.reload()).toBe(true);
    const after = decisions.authorize(client, request);
    expect(after.policyHash).not.toBe(before.policyHash);
    expect([before.searches(recordWith()), after.searches(recordWith())]).toEqual([true, false]);
    renameSync(join(folder, 'own.cedar'), join(folder, 'own.txt'));
    await policies.reload();
    expect(decisions.authorize(client, request).policyHash).toBe(before.policyHash);
  });

  it('are read one at a time', async () => {
    const folder = folderWith({ 'own.cedar': 'nonsense' });
    const good = folderWith({});
    const policies = await loadPolicies(good);
    writeFileSync(join(good, 'own.cedar'), readFileSync(join(folder, 'own.cedar')));
    const bad = policies.reload();
    const next = bad.catch(() => undefined).then(() => policies.reload());
    await expect(bad).rejects.toMatchObject({ reason: 'POLICIES_INVALID' });
    await expect(next).rejects.toMatchObject({ reason: 'POLICIES_INVALID' });
    writeFileSync(join(good, 'own.cedar'), PERMIT_ALL);
    expect(await Promise.all([policies.reload(), policies.reload()])).toEqual([true, false]);
  });
});

describe('a decision that cannot be made', () => {
  const question = (clearance: number) => ({
    principal: clientEntity(clientWith(['monitor'], { clearance })),
    action: actionUid('read-status'),
    resource: SERVICE,
    context: callContext('none', undefined),
  });

  it('is denied and reported when a policy fails: it may be the one that forbids', async () => {
    const faults: DecisionFault[] = [];
    const folder = folderWith({
      'own.cedar':
        '@id("overflows") forbid (principal, action, resource) when { principal.clearance + 9223372036854775807 < 0 };',
    });
    const { current } = await PoliciesInForce.load(folder, (fault) => faults.push(fault));
    expect(current.permits(question(0))).toBe(true);
    expect(current.permits(question(1))).toBe(false);
    expect(faults).toEqual([{ action: 'read-status', policies: ['own/overflows'] }]);
  });
});
