/** Files of records are cut into pieces between records, whatever their sizes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../../../src/failure.ts';
import { formatOf, readPieces, recordsOf, type RecordFormat } from '../../../src/transfer/import/record-file.ts';
import { delimited, fileOf } from './record-files.ts';

const MOST = 64;
const content = fc.array(fc.uint8Array({ maxLength: MOST + 20 }), { maxLength: 30 });
const piece = fc.integer({ min: 1, max: 200 });

function written(format: RecordFormat, records: readonly Uint8Array[], endsWithFeed = true): Buffer {
  if (format === 'binpb') return Buffer.concat(records.map(delimited));
  const lines = Buffer.concat(records.flatMap((record) => [record, Buffer.from('\n')]));
  return endsWithFeed ? lines : lines.subarray(0, -1);
}

/** Line feeds end lines. */
const asLines = (records: readonly Uint8Array[]) =>
  records.map((record) => record.map((byte) => (byte === 10 ? 11 : byte)));

async function read(format: RecordFormat, bytes: Uint8Array, pieceBytes: number, from = 0) {
  const records: (string | undefined)[] = [];
  let last = from;
  const ends: number[] = [];
  const order = { format, from, size: bytes.length, pieceBytes, maxRecordBytes: MOST };
  for await (const { bytes: part, start, end, isTooLarge } of readPieces(fileOf(`records.${format}`, bytes), order)) {
    expect(start).toBe(last);
    last = end;
    ends.push(end);
    if (isTooLarge) records.push(undefined);
    else for (const one of recordsOf(part, format)) records.push(Buffer.from(one).toString('hex'));
  }
  expect(last).toBe(bytes.length);
  return { records, ends };
}

describe.each(['ndjson', 'binpb'] as const)('a file of records (%s)', (format) => {
  it('returns every record in order; oversized ones are marked or returned whole', async () => {
    await fc.assert(
      fc.asyncProperty(content, piece, fc.boolean(), async (given, pieceBytes, endsWithFeed) => {
        const expected = format === 'ndjson' ? asLines(given) : given;
        // Without a final line feed, an empty last line is no line.
        const isLastKept = endsWithFeed || format === 'binpb' || (expected.at(-1)?.length ?? 1) > 0;
        const { records } = await read(format, written(format, expected, endsWithFeed), pieceBytes);
        const wanted = isLastKept ? expected : expected.slice(0, -1);
        expect(records).toHaveLength(wanted.length);
        records.forEach((one, i) => {
          if (one === undefined) expect(wanted[i].length).toBeGreaterThan(MOST);
          else expect(one).toBe(Buffer.from(wanted[i]).toString('hex'));
        });
      }),
      { numRuns: 60 },
    );
  });

  it('can be resumed at the end of every piece', async () => {
    await fc.assert(
      fc.asyncProperty(content, piece, fc.nat(), async (given, pieceBytes, choice) => {
        const bytes = written(format, format === 'ndjson' ? asLines(given) : given);
        const whole = await read(format, bytes, pieceBytes);
        const from = [0, ...whole.ends][choice % (whole.ends.length + 1)];
        const rest = await read(format, bytes, pieceBytes, from);
        expect(rest.records).toEqual(whole.records.slice(whole.records.length - rest.records.length));
        expect((await read(format, bytes.subarray(0, from), pieceBytes)).records).toHaveLength(
          whole.records.length - rest.records.length,
        );
      }),
      { numRuns: 40 },
    );
  });
});

describe('a file of records', () => {
  it('is damaged when its last record is incomplete', async () => {
    await fc.assert(
      fc.asyncProperty(content, piece, fc.integer({ min: 1, max: 50 }), async (given, pieceBytes, missing) => {
        const last = new Uint8Array(Math.max(missing, 2)).fill(7);
        const bytes = written('binpb', [...given, last]).subarray(0, -Math.min(missing, last.length));
        await expect(read('binpb', bytes, pieceBytes)).rejects.toThrow(
          expect.objectContaining({ reason: 'IMPORT_FILE_DAMAGED' }) as Error,
        );
      }),
      { numRuns: 40 },
    );
  });

  it('has the format that its extension names', () => {
    expect(['a.ndjson', 'b.JSONL', 'dir.x/c.binpb'].map(formatOf)).toEqual(['ndjson', 'ndjson', 'binpb']);
    for (const name of ['a.json', 'a', 'binpb']) expect(() => formatOf(name)).toThrow(Failure);
  });
});
