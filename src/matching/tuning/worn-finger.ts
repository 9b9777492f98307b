/**
 * Another capture of an enrolled finger, made from its packed reference. It shows what a later capture of a finger does
 * to its minutiae: another part touches the sensor, minutiae are missed and invented, the skin bends and turns. The
 * parameters are those by which the synthetic people of `fixtures/` differ from capture to capture, for the errors of
 * both captures together, since the reference has errors of its own. `bench search --target` measures how well lists
 * that were chosen by such probes serve others.
 */
import {
  MAX_MINUTIAE,
  type FingerPosition,
  type FingerTemplate,
  type Minutia,
} from '../../templates/finger-template.ts';
import type { Random } from '../../random.ts';
import { SmoothField } from '../../random.ts';
import { minutiaeOf } from '../model/explained-comparison.ts';
import { packedOffsets } from '../model/packed-layout.ts';

/**
 * How bad a capture is: 1 is ordinary, above 2 is bad. Lognormal about 1; one in eight is worse by 1.2. This is the mix
 * of the later captures in the public sets that the synthetic people were made after.
 */
export function drawDifficulty(random: Random): number {
  const usual = Math.exp(0.45 * random.normal());
  return random.chance(0.12) ? usual + 1.2 : usual;
}

/** Difficulty of the enrolled capture, whose errors are in the reference already. */
const ENROLLED = 0.75;
/** Mean half axes of the part of a finger that touches a sensor, in pixels at 500 dpi. */
const HALF_WIDTH = 116;
const HALF_HEIGHT = 160;
/** Minutiae of the reference that no other capture shows, since the extractor invented them. */
const INVENTED = 0.04;
/** Share of the places outside the enrolled part that have a minutia: much of it is beyond the finger. */
const OUTSIDE = 0.4;
/** Minutiae nearer to each other are one, in pixels. */
const MIN_DISTANCE = 4;

/** An area of the finger; lengths in pixels, the origin in the middle of the reference. */
interface Contact {
  readonly x: number;
  readonly y: number;
  readonly halfWidth: number;
  readonly halfHeight: number;
}

/**
 * @param packed - a packed finger of the gallery
 * @param position - of the finger, for the template
 * @param random - decides about everything: the same numbers give the same template
 * @returns at most MAX_MINUTIAE minutiae; it may have too few to be compared
 */
export function wornFinger(
  packed: Uint8Array,
  position: FingerPosition,
  random: Random,
  difficulty = drawDifficulty(random),
): FingerTemplate {
  const enrolled = centred(enrolledMinutiae(packed));
  const own = contactOf(enrolled);
  const shift = Math.sqrt(difficulty + ENROLLED);
  const contact: Contact = {
    x: 9 * shift * random.normal(),
    y: 15 * shift * random.normal(),
    halfWidth: Math.max(55, HALF_WIDTH + 12 * random.normal() - 7 * difficulty),
    halfHeight: Math.max(65, HALF_HEIGHT + 15 * random.normal() - 10 * difficulty),
  };
  const damage = damageOf(random, difficulty);
  const shown = enrolled.filter((minutia) => {
    const lost = INVENTED + 0.8 * (0.04 + 0.05 * difficulty) + 0.75 * damage(minutia.x, minutia.y);
    return random.uniform() >= lost && touches(contact, minutia.x, minutia.y);
  });
  const added = addedMinutiae(enrolled, own, contact, difficulty, damage, random);
  const moved = bend([...shown.map((minutia) => jittered(minutia, difficulty, random)), ...added], difficulty, random);
  const minutiae = withoutTwins(moved).sort((a, b) => b.y - a.y || a.x - b.x);
  return { modality: 'finger', position, quality: 0, minutiae: minutiae.slice(0, MAX_MINUTIAE) };
}

/** Qualities are stored in steps of 100 / 63. */
function enrolledMinutiae(packed: Uint8Array): Minutia[] {
  const { attributes } = packedOffsets(packed[0]);
  return minutiaeOf(packed).map(({ index, ...minutia }) => {
    return { ...minutia, quality: Math.round(((packed[attributes + index] >> 2) * 100) / 63) };
  });
}

/** Moves the middle of the minutiae's bounding box to the origin. */
function centred(minutiae: readonly Minutia[]): Minutia[] {
  const middle = (values: readonly number[]) => (Math.min(...values) + Math.max(...values)) / 2;
  const [x, y] = [middle(minutiae.map((minutia) => minutia.x)), middle(minutiae.map((minutia) => minutia.y))];
  return minutiae.map((minutia) => ({ ...minutia, x: minutia.x - x, y: minutia.y - y }));
}

/** The area that the minutiae fill. */
function contactOf(minutiae: readonly Minutia[]): Contact {
  const most = (values: readonly number[]) => Math.max(1, ...values.map(Math.abs));
  return {
    x: 0,
    y: 0,
    halfWidth: most(minutiae.map(({ x }) => x)),
    halfHeight: most(minutiae.map(({ y }) => y)),
  };
}

function touches(contact: Contact, x: number, y: number): boolean {
  return ((x - contact.x) / contact.halfWidth) ** 4 + ((y - contact.y) / contact.halfHeight) ** 4 <= 1;
}

/** Dry, wet or smudged patches, 0 to 1. */
function damageOf(random: Random, difficulty: number): (x: number, y: number) => number {
  const field = new SmoothField(random, 40);
  const level = Math.min(0.8, 0.05 * difficulty ** 2);
  return (x, y) => Math.max(0, Math.min(1, 1.4 * level + 0.45 * Math.sqrt(level) * field.at(x, y)));
}

/**
 * Minutiae that the reference lacks: those of the part that did not touch at the enrolment, those that the enrolment
 * missed, and invented ones, more of them in damaged places. Directions follow those of the nearest enrolled minutia,
 * as ridges do; types and qualities are taken from enrolled ones.
 */
function addedMinutiae(
  enrolled: readonly Minutia[],
  own: Contact,
  contact: Contact,
  difficulty: number,
  damage: (x: number, y: number) => number,
  random: Random,
): Minutia[] {
  const perArea = enrolled.length / areaOf(own);
  const places = Math.round(4 * contact.halfWidth * contact.halfHeight * perArea);
  const inside = 0.05 + 0.03 + 0.06 * difficulty;
  const added: Minutia[] = [];
  for (let i = 0; i < places; i++) {
    const x = contact.x + (2 * random.uniform() - 1) * contact.halfWidth;
    const y = contact.y + (2 * random.uniform() - 1) * contact.halfHeight;
    const [dice, turn, reversed] = [random.uniform(), random.normal(), random.chance(0.5)];
    const like = enrolled[random.below(enrolled.length)];
    if (!touches(contact, x, y) || dice >= (touches(own, x, y) ? inside + 0.5 * damage(x, y) : OUTSIDE)) continue;
    const { angle } = nearest(enrolled, x, y);
    added.push({ ...like, x, y, angle: angle + 10 * turn + (reversed ? 128 : 0) });
  }
  return added;
}

/** Area of a contact: a superellipse of exponent four fills 92.7 % of its box. */
function areaOf({ halfWidth, halfHeight }: Contact): number {
  return 0.927 * 4 * halfWidth * halfHeight;
}

function nearest(minutiae: readonly Minutia[], x: number, y: number): Minutia {
  return minutiae.reduce((best, one) =>
    (one.x - x) ** 2 + (one.y - y) ** 2 < (best.x - x) ** 2 + (best.y - y) ** 2 ? one : best,
  );
}

function jittered(minutia: Minutia, difficulty: number, random: Random): Minutia {
  const jitter = Math.hypot(0.9 + 0.3 * difficulty, 0.9 + 0.3 * ENROLLED);
  const turned = 0.08 * jitter * (128 / Math.PI) * random.normal() + (random.chance(0.05) ? 128 : 0);
  const isOther = random.chance(0.24);
  return {
    ...minutia,
    x: minutia.x + jitter * random.normal(),
    y: minutia.y + jitter * random.normal(),
    angle: minutia.angle + turned,
    type: isOther ? otherType(minutia.type) : minutia.type,
  };
}

function otherType(type: Minutia['type']): Minutia['type'] {
  if (type === 0) return 0;
  return type === 1 ? 2 : 1;
}

/** Bends the skin and turns the finger. */
function bend(minutiae: readonly Minutia[], difficulty: number, random: Random): Minutia[] {
  const [bendX, bendY] = [new SmoothField(random, 110), new SmoothField(random, 110)];
  const amount = (of: number) => 1 + 1.8 * Math.abs(random.normal()) * Math.sqrt(of);
  const strength = Math.hypot(amount(difficulty), amount(ENROLLED));
  const turn = 0.19 * random.normal();
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  return minutiae.map((minutia) => {
    const x = minutia.x + strength * bendX.at(minutia.x, minutia.y);
    const y = minutia.y + strength * bendY.at(minutia.x, minutia.y);
    return {
      ...minutia,
      x: Math.round(c * x - s * y),
      y: Math.round(s * x + c * y),
      angle: Math.round(minutia.angle + (turn * 128) / Math.PI) & 255,
    };
  });
}

function withoutTwins(minutiae: readonly Minutia[]): Minutia[] {
  const kept: Minutia[] = [];
  for (const minutia of minutiae)
    if (!kept.some(({ x, y }) => (x - minutia.x) ** 2 + (y - minutia.y) ** 2 < MIN_DISTANCE ** 2)) kept.push(minutia);
  return kept;
}
