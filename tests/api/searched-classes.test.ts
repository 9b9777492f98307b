import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { searchedClasses } from '../../src/api/searched-classes.ts';
import { ClassMask } from '../../src/gallery/class-mask.ts';
import { RecordClasses, type ClassAttributes, type RecordClass } from '../../src/gallery/record-classes.ts';

const signal = new AbortController().signal;

/** The definition. */
function expected(classes: RecordClasses, allows: (one: RecordClass) => boolean) {
  const lines = classes.all
    .filter(allows)
    .map(({ contributor, caveats, provenance }) => JSON.stringify([contributor, caveats, provenance]));
  const digest = createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  return { count: lines.length, digest };
}

const attributes: fc.Arbitrary<ClassAttributes> = fc.record({
  contributor: fc.string({ maxLength: 3, unit: 'binary' }),
  caveats: fc.subarray(['REL-A', 'ORCON', 'SECRET', 'A"B']),
  provenance: fc.constantFrom('controlled', 'field', 'latent', 'synthetic', 'unspecified'),
});

describe('the searched classes of a record', () => {
  it('are those that the mask allows, whatever classes come and go between two searches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(attributes, { maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, one) => {
          const classes = new RecordClasses();
          const allows = ({ contributor, caveats }: RecordClass) => (contributor.length + caveats.length) % 3 < one;
          const mask = new ClassMask(classes, allows);
          for (const added of steps) {
            for (const each of added) classes.retain(classes.classOf(each));
            expect(await searchedClasses(mask, classes, signal)).toEqual(expected(classes, allows));
            const [first] = classes.all;
            // A class goes with its last subject, and its id may be used again.
            if (first !== undefined) classes.release(first);
            classes.retain(
              classes.classOf({ contributor: `new ${classes.version}`, caveats: [], provenance: 'field' }),
            );
            expect(await searchedClasses(mask, classes, signal)).toEqual(expected(classes, allows));
          }
        },
      ),
    );
  });

  it('are found without holding up other calls, and once for a version of the classes', async () => {
    const classes = new RecordClasses();
    for (let i = 0; i < 5000; i++)
      classes.retain(classes.classOf({ contributor: `agency ${i % 100}`, caveats: [`C${i}`], provenance: 'field' }));
    let asked = 0;
    const decide = () => {
      asked++;
      // As long as a decision of the engine at the least.
      for (const until = performance.now() + 0.01; performance.now() < until;);
      return true;
    };
    const mask = new ClassMask(classes, decide);
    let turns = 0;
    const count = setInterval(() => turns++, 0);
    const first = await searchedClasses(mask, classes, signal);
    clearInterval(count);
    expect(first.count).toBe(5000);
    expect(turns).toBeGreaterThan(5);
    expect(await searchedClasses(mask, classes, signal)).toBe(first);
    expect(asked).toBe(5000);
  });

  it('are not sought any more when the caller has gone', async () => {
    const classes = new RecordClasses();
    classes.retain(classes.classOf({ contributor: 'a', caveats: [], provenance: 'field' }));
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(searchedClasses(new ClassMask(classes, () => true), classes, gone)).rejects.toThrow('gone');
  });
});
