/** What the audit is told about the record classes of a search. */
import { createHash } from 'node:crypto';
import type { AuditEntry } from '../audit/audit-entry.ts';
import type { ClassMask } from '../gallery/class-mask.ts';
import type { RecordClass, RecordClasses } from '../gallery/record-classes.ts';
import { inSlices, SLICE_MS } from '../gallery/slices.ts';

type Classes = NonNullable<AuditEntry['classes']>;

interface Summary {
  readonly version: number;
  readonly classes: Classes;
}

/** All classes of a version, sorted by what they are. */
interface Order {
  readonly version: number;
  readonly sorted: readonly RecordClass[];
}

const summaries = new WeakMap<ClassMask, Summary>();
const orders = new WeakMap<RecordClasses, Order>();
const lines = new WeakMap<RecordClass, string>();

/**
 * The record classes that a search could find: their number, and a digest of what they are (SHA-256, hexadecimal). Made
 * once for a mask and a version of the classes, with turns of the event loop in between: there may be tens of thousands.
 * @throws the signal's reason
 */
export async function searchedClasses(mask: ClassMask, classes: RecordClasses, signal: AbortSignal): Promise<Classes> {
  const { version } = classes;
  const known = summaries.get(mask);
  if (known?.version === version) return known.classes;
  await mask.prepare(signal);
  const sorted = await inOrder(classes, signal);
  const hash = createHash('sha256');
  let count = 0;
  await inTurns(sorted, signal, (recordClass) => {
    if (!mask.allows(recordClass)) return;
    hash.update(count === 0 ? lineOf(recordClass) : `\n${lineOf(recordClass)}`);
    count++;
  });
  const made = { count, digest: hash.digest('hex') };
  summaries.set(mask, { version, classes: made });
  return made;
}

async function inOrder(classes: RecordClasses, signal: AbortSignal): Promise<readonly RecordClass[]> {
  const { version } = classes;
  const known = orders.get(classes);
  if (known?.version === version) return known.sorted;
  // Those known before are in order already, which makes the sort fast.
  const present = new Set(classes.all);
  const ordered = new Set(known?.sorted.filter((recordClass) => present.has(recordClass)));
  const all = [...ordered, ...[...present].filter((recordClass) => !ordered.has(recordClass))];
  await inTurns(all, signal, lineOf);
  const sorted = all.sort((a, b) => (lineOf(a) < lineOf(b) ? -1 : 1));
  orders.set(classes, { version, sorted });
  return sorted;
}

async function inTurns<T>(items: Iterable<T>, signal: AbortSignal, work: (item: T) => unknown): Promise<void> {
  const steps = function* () {
    for (const item of items) yield void work(item);
  };
  await inSlices(steps(), SLICE_MS, () => signal.aborted);
  signal.throwIfAborted();
}

function lineOf(recordClass: RecordClass): string {
  let line = lines.get(recordClass);
  if (line === undefined) {
    const { contributor, caveats, provenance } = recordClass;
    lines.set(recordClass, (line = JSON.stringify([contributor, caveats, provenance])));
  }
  return line;
}
