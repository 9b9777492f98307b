import type { PartitionName, ReferenceLocation } from './catalogue.ts';
import type { ClassMask } from './class-mask.ts';
import type { RecordClass, RecordClasses } from './record-classes.ts';

/** Numbers by class id; no entry: 0. */
type ByClass = (number | undefined)[];

/** Numbers of present references, by partition and record class. */
export class ReferenceCounts {
  readonly #classes: RecordClasses;
  /** By position. */
  readonly #fingers: ByClass[] = [];
  /** By model, then by dimension. */
  readonly #faces = new Map<string, Map<number, ByClass>>();

  constructor(classes: RecordClasses) {
    this.#classes = classes;
  }

  /** @param sign - -1: they are not present any more */
  count(references: readonly ReferenceLocation[], { id }: RecordClass, sign: 1 | -1): void {
    for (const { partition } of references) {
      const counts = this.#of(partition);
      counts[id] = (counts[id] ?? 0) + sign;
    }
  }

  /** Number of references in a partition that are of classes the mask allows. */
  allowedBy(mask: ClassMask, partition: PartitionName): number {
    let sum = 0;
    this.#of(partition).forEach((count = 0, id) => {
      const recordClass = count === 0 ? undefined : this.#classes.get(id);
      if (recordClass !== undefined && mask.allows(recordClass)) sum += count;
    });
    return sum;
  }

  #of(partition: PartitionName): ByClass {
    if (partition.modality === 'finger') return (this.#fingers[partition.position] ??= []);
    const { modelId, dimension } = partition;
    let ofModel = this.#faces.get(modelId);
    if (ofModel === undefined) this.#faces.set(modelId, (ofModel = new Map<number, ByClass>()));
    let counts = ofModel.get(dimension);
    if (counts === undefined) ofModel.set(dimension, (counts = []));
    return counts;
  }
}
