/**
 * Attack clients against the answers of the service: how many calls until a template is rebuilt that passes the
 * threshold against the reference of an enrolled subject, until the alarm, and until the client is disabled. In one
 * process, with the service's own disclosure, budgets, window and plausibility; time is simulated.
 *
 *   npm run bench -- attacks [--data DIR] [--defences none,default,without-spectrum] [--attacks linear,climb,…] [--targets 3]
 *     [--calls 100000] [--days 365] [--subjects 10000] [--json]
 *
 * Defences: `default`, or the same as if too few faces were enrolled for a spectrum. --data: real faces, a folder with embeddings.f32 and embeddings.tsv; half of the people are the attacker's. Without it
 * all faces are synthetic. --days: simulated time that the attacker has. An attacker `with a look-alike` begins with a
 * face whose rate against the target is 10⁻³ to 10⁻⁴; `spread` ones have 20 clients of 5 agencies.
 */
import { parseArgs } from 'node:util';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { Random } from '../../src/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import { AttackedService } from './attacked-service.ts';
import { Attempt, Ended, type Outcome } from './attempt.ts';
import {
  careful,
  climb,
  climbByDuplicates,
  climbBySearches,
  coordinates,
  identifyOnly,
  linear,
  patient,
  randomDirections,
  type Attack,
} from './face-attacks.ts';
import { fingerClimb } from './finger-attack.ts';
import { facesToAttack, type FacesToAttack } from './faces-to-attack.ts';
import { normalDirection } from './vectors.ts';

interface Plan {
  readonly attack: Attack;
  readonly clients?: number;
  readonly agencies?: number;
  readonly lookAlike?: boolean;
  /** The attacker has no faces of the model, and takes random numbers. */
  readonly faceless?: boolean;
}

const PLANS: Readonly<Record<string, Plan>> = {
  linear: { attack: linear },
  climb: { attack: climb },
  random: { attack: randomDirections },
  coordinates: { attack: coordinates },
  identify: { attack: identifyOnly },
  patient: { attack: patient },
  'climb by searches, look-alike': { attack: climbBySearches, lookAlike: true },
  'enrol, find, update': { attack: climbByDuplicates },
  'enrol, find, update, look-alike': { attack: climbByDuplicates, lookAlike: true },
  'climb, look-alike': { attack: climb, lookAlike: true },
  'patient, look-alike': { attack: patient, lookAlike: true },
  'patient, look-alike, spread': { attack: patient, lookAlike: true, clients: 20, agencies: 5 },
  'careful, look-alike, spread': { attack: careful, lookAlike: true, clients: 20, agencies: 5 },
  'identify, look-alike, spread': { attack: identifyOnly, lookAlike: true, clients: 20, agencies: 5 },
  'linear, spread': { attack: linear, clients: 20, agencies: 5 },
  'linear, without faces': { attack: linear, faceless: true },
  'identify, without faces': { attack: identifyOnly, faceless: true },
  'patient, look-alike, without faces': { attack: patient, lookAlike: true, faceless: true },
  'climb by searches, look-alike, without faces': { attack: climbBySearches, lookAlike: true, faceless: true },
};
const FINGERS = 'finger';
const DEFENCES: ReadonlySet<string> = new Set(['none', 'default', 'without-spectrum']);

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    defences: { type: 'string', default: 'none,default' },
    attacks: { type: 'string' },
    targets: { type: 'string', default: '3' },
    calls: { type: 'string', default: '100000' },
    days: { type: 'string', default: '365' },
    subjects: { type: 'string', default: '10000' },
    json: { type: 'boolean', default: false },
  },
});
const defences = options.defences.split(',');
const plans = options.attacks?.split(';') ?? [...Object.keys(PLANS), FINGERS];
const unknown = [
  ...defences.filter((name) => !DEFENCES.has(name)),
  ...plans.filter((name) => name !== FINGERS && !Object.hasOwn(PLANS, name)),
];
if (unknown.length > 0) {
  console.error(
    `Unknown: ${unknown.join(', ')}. Attacks, separated by ';': ${Object.keys(PLANS).join('; ')}; ${FINGERS}.`,
  );
  process.exit(2);
}
const [targets, calls, days, subjects] = [options.targets, options.calls, options.days, options.subjects].map(Number);
const limits = { calls, days };
const faces = facesToAttack(options.data, targets);
const rows = [];
for (const name of plans) {
  for (const kind of defences) {
    for (let target = 0; target < targets; target++) {
      const random = new Random(SEEDS.attacks, target);
      const outcome =
        name === FINGERS
          ? fingerClimb(limits, kind !== 'none', subjects, random, target)
          : onFace(PLANS[name], facesUnder(kind), target, kind !== 'none', random);
      rows.push({ attack: name, defences: kind, target, ...outcome });
      if (!options.json) console.error(JSON.stringify(rows.at(-1)));
    }
  }
}
if (options.json) console.log(JSON.stringify({ kernel: kernelHash(), ...limits, subjects, results: rows }));
else
  console.table(
    rows.map(({ refused, ...row }) => ({ ...row, refused: Object.values(refused).reduce((a, b) => a + b, 0) })),
  );

function facesUnder(kind: string): FacesToAttack {
  return kind === 'without-spectrum' ? { ...faces, spectrum: undefined } : faces;
}

function onFace(
  { attack, clients = 1, agencies = 1, lookAlike = false, faceless = false }: Plan,
  { people, own, spectrum }: FacesToAttack,
  target: number,
  isDefended: boolean,
  random: Random,
): Outcome {
  const attempt = new Attempt({ ...limits, clients, agencies });
  const service = new AttackedService({ target: people[target].reference, spectrum, subjects }, attempt, isDefended);
  const start = lookAlike ? people[target].lookAlike : undefined;
  try {
    const faces = faceless ? own.map((face) => normalDirection(face.length, random)) : own;
    attack({ service, own: faces, start, random });
  } catch (thrown) {
    if (!(thrown instanceof Ended)) throw thrown;
  }
  return attempt.outcome;
}
