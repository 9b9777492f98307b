import { X509Certificate } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { Failure } from '../failure.ts';

/** More than any certificate chain, and a list of some ten thousand revoked certificates. */
const MAX_PEM_BYTES = 1 << 20;

/**
 * Reads a file up to a limit; also bounds files without an end, such as pipes.
 * @throws the error of the file system; EFBIG for a file that is too large
 */
export function readBounded(file: string): Buffer {
  const handle = openSync(file, 'r');
  try {
    const content = Buffer.alloc(MAX_PEM_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < content.length; length += read)
      read = readSync(handle, content, length, content.length - length, null);
    if (length > MAX_PEM_BYTES) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
    return content.subarray(0, length);
  } finally {
    closeSync(handle);
  }
}

/** @throws Failure TLS_INVALID, if the file that a setting names cannot be read */
export function readSettingFile(setting: string, file: string): Buffer {
  try {
    return readBounded(file);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw invalidTls(`${setting} names the file ${file}, which cannot be read (${code}).`);
  }
}

/**
 * The blocks with this label, each as PEM of its own: OpenSSL reads one revocation list from a text, and stops without
 * an error at the first block that is cut off. A file cut off in a block must not pass for a shorter one.
 * @param label - e.g. `CERTIFICATE`
 * @returns undefined if there is none, or one is cut off
 */
export function pemBlocks(text: string, label: string): readonly string[] | undefined {
  const blocks: string[] = [];
  let open: { readonly label: string; readonly at: number } | undefined;
  let end = 0;
  for (const { 0: marker, 1: kind, 2: name, index } of text.matchAll(/-----(BEGIN|END) ([A-Z0-9 ]+)-----/g)) {
    if ((kind === 'BEGIN') !== (open === undefined)) return undefined;
    if (open === undefined) open = { label: name ?? '', at: index };
    else {
      if (open.label !== name) return undefined;
      end = index + marker.length;
      if (name === label) blocks.push(text.slice(open.at, end));
      open = undefined;
    }
  }
  // The first line of a block may be cut off, too.
  const isCutOff = open !== undefined || /(?:^|\n)-[^\n]*$/.test(text.slice(end).trimEnd());
  return isCutOff || blocks.length === 0 ? undefined : blocks;
}

/** @throws Failure TLS_INVALID, if a certificate is missing, cut off or damaged */
export function certificatesIn(setting: string, file: string, pem: Buffer): readonly X509Certificate[] {
  const text = pem.toString('latin1').replaceAll(/(?<=-----(?:BEGIN|END) )(?:TRUSTED|X509) (?=CERTIFICATE-----)/g, '');
  try {
    const blocks = pemBlocks(text, 'CERTIFICATE');
    if (blocks !== undefined) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // The error of OpenSSL names nothing that helps.
  }
  throw invalidTls(`The file ${file} (${setting}) holds no complete certificate in PEM, or one that is damaged.`);
}

export function invalidTls(sentence: string): Failure {
  return new Failure('failed-precondition', 'TLS_INVALID', sentence);
}
