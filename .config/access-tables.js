// Writes the tables of docs/access.md: what the shipped policies permit, as the policies themselves answer. `--check`
// only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import { ACTIONS, PURPOSES } from '../src/access/actions.ts';
import { Decisions } from '../src/access/decisions.ts';
import { PoliciesInForce } from '../src/access/policy-set.ts';
import { ROLES } from '../src/access/principal.ts';

const page = join(resolve(import.meta.dirname, '..'), 'docs/access.md');
const BEGIN = '<!-- Written by `npm run docs:access` from the policies; `npm run lint` compares. -->';
const END = '<!-- End of the written part. -->';

const policies = await PoliciesInForce.load(undefined, ({ action }) => {
  throw new Error(`no decision about ${action}`);
});
const decisions = new Decisions(policies, { count: 1, all: ['watchlist'] });

/** Calls whose requests state a purpose. */
const WITH_PURPOSE = ['identify', 'verify', 'compare'];
const OWNER = 'agency-owner';
const clients = new Map();

/** A client of one role, with every purpose and one gallery. */
function client(role, agency = 'agency-other', clearance = 0) {
  const clientId = `${role}:${agency}:${clearance}`;
  if (!clients.has(clientId))
    clients.set(clientId, {
      clientId,
      // Some calls are for persons only.
      kind: ['administrator', 'examiner', 'supervisor'].includes(role) ? 'person' : 'machine',
      agency,
      agencyCode: agency.toUpperCase(),
      roles: new Set([role]),
      galleries: new Set(['watchlist']),
      purposes: new Set(PURPOSES),
      clearance,
      budgets: {},
    });
  return clients.get(clientId);
}

/** undefined: not permitted. */
function grant(who, action, purpose) {
  try {
    return decisions.authorize(who, { action, purpose, galleries: ['watchlist'] });
  } catch {
    return undefined;
  }
}

const record = (changes = {}) => ({ contributor: OWNER, caveats: [], provenance: 'controlled', ...changes });
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const purposesOf = (action) =>
  WITH_PURPOSE.includes(action) ? PURPOSES.filter((purpose) => purpose !== 'none') : ['none'];

function calls() {
  const cell = (role, action) => {
    const purposes = purposesOf(action).filter((purpose) => grant(client(role), action, purpose) !== undefined);
    return purposes.length === purposesOf(action).length ? 'yes' : purposes.join(', ');
  };
  return table(
    ['call', ...ROLES],
    ACTIONS.map((action) => [`\`${action}\``, ...ROLES.map((role) => cell(role, action))]),
  );
}

/** What a permitted change is; of the others: changed. */
const CHANGES = {
  expunge: 'removed',
  'propose-expunge': 'removal proposed',
  'approve-expunge': 'removal approved',
};

/** What a call does with one kind of record, in words. */
function does(granted, held) {
  if (granted === undefined) return 'call refused';
  const words = [];
  const usesSearch = ['identify', 'verify', 'find-duplicates'].includes(granted.action);
  if (usesSearch) words.push(granted.searches(held) ? 'searched' : 'not searched');
  const isReachable = !usesSearch || granted.searches(held);
  if (isReachable && granted.sees(held)) words.push('seen');
  const disclosed = granted.discloses(held);
  if (isReachable && disclosed.scores === 'exact') words.push('exact scores');
  if (isReachable && disclosed.explanations) words.push('minutiae');
  if (granted.changes(held)) words.push(CHANGES[granted.action] ?? 'changed');
  return words.length === 0 ? 'nothing' : words.join(', ');
}

function records() {
  const rows = [];
  for (const role of ROLES)
    for (const action of ACTIONS) {
      const lines = new Map();
      for (const purpose of purposesOf(action)) {
        const other = grant(client(role), action, purpose);
        const own = grant(client(role, OWNER), action, purpose);
        const cells = [does(own, record()), does(other, record()), does(other, record({ provenance: 'synthetic' }))];
        const says = cells.join(' | ');
        if (/seen|changed|remov/.test(says)) lines.set(says, [...(lines.get(says) ?? []), purpose]);
      }
      for (const [says, purposes] of lines)
        rows.push([role, `\`${action}\``, purposes.filter((purpose) => purpose !== 'none').join(', '), says]);
    }
  return table(['role', 'call', 'purpose', 'own records', 'records of others', 'synthetic records of others'], rows);
}

const CAVEATS = [
  [],
  ['REL-AGENCY-OTHER'],
  ['REL-AGENCY-THIRD'],
  ['ORCON'],
  ['ORCON', 'REL-AGENCY-OTHER'],
  ['NO-ONWARD'],
  ['POLICE-ONLY'],
  ['BATTLEFIELD-ONLY'],
  ['RESTRICTED'],
  ['MINOR'],
  ['SUSPENDED'],
  ['SILENT'],
  ['X-ARMED'],
  ['MISSPELT'],
];

function caveats() {
  const columns = [
    ['gate, border check', client('checkpoint'), 'identify', 'border-check'],
    ['gate, application', client('checkpoint'), 'identify', 'application'],
    ['examiner, investigation', client('examiner'), 'identify', 'investigation'],
    ['examiner, look-up by id', client('examiner'), 'get-subject', 'none'],
    ["owner's gate, border check", client('checkpoint', OWNER), 'identify', 'border-check'],
    ["owner's system, list", client('contributor', OWNER), 'list-subjects', 'none'],
  ];
  return table(
    ['caveats of the record', ...columns.map(([name]) => name)],
    CAVEATS.map((names) => [
      names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(' '),
      ...columns.map(([, who, action, purpose]) => does(grant(who, action, purpose), record({ caveats: names }))),
    ]),
  );
}

const written = [
  BEGIN,
  '',
  '### Calls',
  '',
  'Columns are roles. A purpose in a cell: for this purpose only. Administrators, examiners and supervisors are persons; as machines they make no call for the removal of records, and decide no cases.',
  '',
  calls(),
  '',
  '### Records',
  '',
  'Records without caveats. "Seen": the answer may show that the record exists. A call of a role that is not listed does nothing with records.',
  '',
  records(),
  '',
  '### Caveats',
  '',
  'The clients are of agency `agency-other` (code AGENCY-OTHER), or of the agency that owns the record, without a clearance.',
  '',
  caveats(),
  '',
  END,
].join('\n');

/** The page with fresh tables. */
async function render() {
  const text = readFileSync(page, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error('docs/access.md has lost the marks of its written part.');
  const options = await prettier.resolveConfig(page);
  return prettier.format(before + written + after, { ...options, parser: 'markdown' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fresh = await render();
  if (!process.argv.includes('--check')) writeFileSync(page, fresh);
  else if (readFileSync(page, 'utf8') !== fresh) {
    console.error('docs/access.md is not what the policies permit. Run: npm run docs:access');
    process.exitCode = 1;
  }
}
