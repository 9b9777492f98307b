/**
 * Detects badly written embeddings by their components. Only ratios are used: an embedding may have any length. None of
 * the 6,274 LFW embeddings in the data comes near any of these limits.
 */
import type { Notice } from './sample-warnings.ts';
import { TemplateError } from './template-error.ts';

/**
 * Components of one embedding have one scale: ratios beyond 2⁴⁰ are very rare. With the wrong byte order or number
 * type, exponents are random, and most components are negligible beside the largest.
 */
const SCALE = 2 ** -40;
const MAX_SHARE_OFF_SCALE = 0.5;
/** Real embeddings of 512 components have at least 117; 1 means that one component has all the length. */
const MIN_EFFECTIVE_COMPONENTS = 4;
/** Share of the length common to all components: at most 0.03 in real embeddings, 0.64 when none is negative. */
const MAX_COMMON_SHARE = 0.9;
/** 3 for a normal distribution, 1.8 for a flat one, 1 for equal magnitudes; real embeddings have at least 2.4. */
const MIN_KURTOSIS = 1.25;

/**
 * @param view - the bytes of the components
 * @throws TemplateError NOT_FINITE, COMPONENTS_IMPLAUSIBLE
 */
export function requireOneScale(components: readonly number[], view: DataView): void {
  const first = components.findIndex((value) => !Number.isFinite(value));
  const finite = first < 0 ? components : components.filter(Number.isFinite);
  const isOneScale = shareOffScale(finite) <= MAX_SHARE_OFF_SCALE;
  if (first < 0 && isOneScale) return;
  // If the finite components have one scale, the byte order is right and the fault is another.
  const isOrderWrong = (!isOneScale || finite.length === 0) && wouldFitInOtherOrder(view);
  const order = isOrderWrong ? ': the bytes seem to be in big-endian order' : '';
  if (first < 0) {
    const sentence = `The components are of magnitudes that no model makes${order}`;
    throw new TemplateError('COMPONENTS_IMPLAUSIBLE', 0, sentence);
  }
  const sentence = `Component ${first}, counted from 0, is NaN or infinite${order}`;
  throw new TemplateError('NOT_FINITE', first * 4, sentence);
}

/** Whether the components would be plausible in the other byte order. */
function wouldFitInOtherOrder(view: DataView): boolean {
  const components = Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(i * 4, false));
  if (!components.every(Number.isFinite)) return false;
  const largest = largestOf(components);
  return largest >= SCALE && largest <= 1 / SCALE && shareOffScale(components) <= MAX_SHARE_OFF_SCALE;
}

/** Share of non-zero components that are negligible beside the largest. */
function shareOffScale(components: readonly number[]): number {
  if (components.length === 0) return 0;
  const largest = largestOf(components);
  return components.filter((value) => value !== 0 && Math.abs(value) < largest * SCALE).length / components.length;
}

function largestOf(components: readonly number[]): number {
  return components.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Reports templates that would match nearly everything, or nearly nothing. */
export function judgeComponents(values: Int8Array, notice: Notice): void {
  const [sum, squares, fourths] = powerSums(values);
  if (squares === 0) return;
  if ((squares * squares) / fourths < MIN_EFFECTIVE_COMPONENTS) notice('COMPONENTS_CONCENTRATED', 0);
  if ((sum * sum) / values.length / squares > MAX_COMMON_SHARE) notice('COMPONENTS_ALIKE', 0);
}

/**
 * Reports signed bytes that are really unsigned: values near zero lie at the ends. Two distinct magnitudes are needed.
 */
export function judgeSignedBytes(values: readonly number[], notice: Notice): void {
  const [, squares, fourths] = powerSums(values);
  if (squares === 0 || (fourths * values.length) / (squares * squares) >= MIN_KURTOSIS) return;
  if (new Set(values.map(Math.abs)).size > 1) notice('COMPONENTS_UNSIGNED', 0);
}

function powerSums(values: Iterable<number>): [number, number, number] {
  let [sum, squares, fourths] = [0, 0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
    fourths += value ** 4;
  }
  return [sum, squares, fourths];
}
