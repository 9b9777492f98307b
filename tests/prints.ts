/** Random finger templates for tests: a smooth direction field, and second impressions of it. */
import type { FingerTemplate, Minutia, MinutiaType } from '../src/templates/finger-template.ts';

/** A small generator of numbers in [0, 1): Mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A finger with a smooth orientation field. */
export function somePrint(seed: number, count = 40): FingerTemplate {
  const next = random(seed);
  const [fx, fy, phase] = [0.004 + 0.01 * next(), 0.004 + 0.01 * next(), 256 * next()];
  const places = new Set<number>();
  const minutiae: Minutia[] = [];
  while (minutiae.length < count) {
    const x = Math.floor(300 * next());
    const y = Math.floor(380 * next());
    if (places.has(x * 1000 + y)) continue;
    places.add(x * 1000 + y);
    const flow = phase + 60 * Math.sin(fx * x) + 60 * Math.cos(fy * y) + (next() < 0.5 ? 128 : 0) + 8 * next();
    minutiae.push({ x, y, angle: Math.floor(flow) & 255, type: next() < 0.6 ? 1 : 2, quality: 0 });
  }
  return { modality: 'finger', position: 2, quality: 0, minutiae };
}

/** The same finger again: turned by `turn` 256ths, moved, jittered, with minutiae missing and others added. */
export function secondImpression(print: FingerTemplate, seed: number, turn: number, noise = 1): FingerTemplate {
  const next = random(seed);
  const radians = (turn * 2 * Math.PI) / 256;
  const [c, s] = [Math.cos(radians), Math.sin(radians)];
  const [tx, ty] = [40 * next() - 20, 40 * next() - 20];
  const jitter = () => noise * 4 * (next() - 0.5);
  const kept = print.minutiae.filter(() => next() >= 0.15 * noise);
  const moved = kept.map(({ x, y, angle, type, quality }) => ({
    x: Math.round(c * (x - 150) - s * (y - 190) + 150 + tx + jitter()),
    y: Math.round(s * (x - 150) + c * (y - 190) + 190 + ty + jitter()),
    angle: Math.round(angle + turn + jitter()) & 255,
    type: (next() < 0.1 * noise ? 3 - type : type) as MinutiaType,
    quality,
  }));
  const added = Array.from({ length: Math.round(5 * noise) }, () => ({
    x: Math.floor(300 * next()),
    y: Math.floor(380 * next()),
    angle: Math.floor(256 * next()),
    type: 1 as const,
    quality: 0,
  }));
  return { ...print, minutiae: [...moved, ...added].slice(0, 64) };
}

/** Random minutiae with random directions: not a finger. */
export function garbage(seed: number, count: number): FingerTemplate {
  const next = random(seed);
  const minutiae = Array.from({ length: count }, (_, i): Minutia => ({
    x: Math.floor(300 * next()),
    y: Math.floor(380 * next()) * 2 + (i & 1),
    angle: Math.floor(256 * next()),
    type: 1,
    quality: 0,
  }));
  return { modality: 'finger', position: 0, quality: 0, minutiae };
}

/** The same directions in a small square, where minutiae lie close to each other or in one place. */
export function squeezed(template: FingerTemplate, pixels: number): FingerTemplate {
  const minutiae = template.minutiae.map((m) => ({ ...m, x: m.x % pixels, y: m.y % pixels }));
  return { ...template, minutiae };
}

/** Minutiae on a grid: each is within reach of every other, and none so near that the two count as one. */
export function crowd(count: number, spacing = 8): FingerTemplate {
  const side = Math.ceil(Math.sqrt(count));
  const minutiae = Array.from({ length: count }, (_, i): Minutia => ({
    x: spacing * (i % side),
    y: spacing * Math.floor(i / side),
    angle: (37 * i) & 255,
    type: 1,
    quality: 100,
  }));
  return { modality: 'finger', position: 0, quality: 0, minutiae };
}
