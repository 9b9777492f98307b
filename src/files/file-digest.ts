import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Identifies the content of a file. */
export interface FileContent {
  /** SHA-256. */
  readonly digest: Buffer;
  /** Bytes when the reading began: what is appended meanwhile does not count. */
  readonly size: number;
}

/** Reads a file to its end. @throws Error of the system */
export async function contentOf(file: string): Promise<FileContent> {
  const hash = createHash('sha256');
  const { size } = await stat(file);
  if (size > 0)
    for await (const chunk of createReadStream(file, { end: size - 1, highWaterMark: 1 << 20 }))
      hash.update(chunk as Buffer);
  return { digest: hash.digest(), size };
}
