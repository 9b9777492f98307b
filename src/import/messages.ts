/** What goes to the threads that prepare records, and comes back. */
import type { PreparationRules, PreparedPiece } from './preparation.ts';
import type { RecordFormat } from './record-file.ts';

export interface PieceTask {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly format: RecordFormat;
}

export type PieceResult = PreparedPiece;

/** What a thread is told when it starts. */
export type ThreadSettings = PreparationRules;
