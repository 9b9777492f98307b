/** The thread that prepares records: from a piece of a file to its data in the store and in an index. */
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import { Preparation, type PreparationRules, type PreparedPiece, type PreparedRecord } from './preparation.ts';
import type { RecordFormat } from './record-file.ts';

/** Records of a piece of a file. */
export interface PieceTask {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly format: RecordFormat;
}

const preparation = new Preparation(workerData as PreparationRules);

/** The entry that the pool calls. */
export default function run({ bytes, format }: PieceTask): unknown {
  return move(gathered(preparation.prepare(bytes, format)));
}

/** Gathers the thousands of templates in one buffer, which is transferred without a copy. */
function gathered(piece: PreparedPiece) {
  const arrays = piece.prepared.flatMap(({ references, packed }) => [
    ...references.map(({ template }) => template),
    ...packed.values(),
  ]);
  const all = new Uint8Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  const taken = (array: Uint8Array): Uint8Array => {
    all.set(array, at);
    at += array.length;
    return all.subarray(at - array.length, at);
  };
  const prepared = piece.prepared.map((record): PreparedRecord => ({
    ...record,
    references: record.references.map((reference) => ({ ...reference, template: taken(reference.template) })),
    packed: new Map([...record.packed].map(([id, packed]) => [id, taken(packed)])),
  }));
  return { [transferableSymbol]: [all.buffer], [valueSymbol]: { ...piece, prepared } };
}
