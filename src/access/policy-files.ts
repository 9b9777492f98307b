import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, opendir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Failure } from '../failure.ts';

/** Policies of one installation take a few kilobytes; far more is a mistake, or meant to stop the service. */
const MAX_FILE_BYTES = 65_536;
/** Own policy files. */
const MAX_FILES = 64;
/** Bytes of all own policy files together. */
const MAX_TOTAL_BYTES = 262_144;
/** Entries of a folder, policies or not. */
const MAX_ENTRIES = 1000;
const ENDING = '.cedar';
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

const SHIPPED = join(import.meta.dirname, 'policies');
const SCHEMA = 'ridgewatch.cedarschema';

export interface PolicyFile {
  /** Name in its folder, e.g. `release.cedar`. */
  readonly name: string;
  readonly origin: 'shipped' | 'own';
  readonly text: string;
}

/** The texts that decide. */
export interface PolicyTexts {
  readonly schema: string;
  /** In order of their names, which are distinct. */
  readonly files: readonly PolicyFile[];
  /** Names of shipped files that an own file of the same name replaces. */
  readonly replaced: readonly string[];
  /** SHA-256 of the schema and all files with their names, hexadecimal: equal texts have equal hashes. */
  readonly hash: string;
}

/**
 * The shipped policies and those of the operator. An own file with the name of a shipped one replaces it; others are
 * added.
 * @param folder - of own policies; undefined: none. Only files that end in `.cedar` are read.
 * @throws Failure POLICIES_INVALID
 */
export async function readPolicyTexts(folder: string | undefined): Promise<PolicyTexts> {
  const shipped = await readFolder(SHIPPED, 'shipped');
  const own = folder === undefined ? [] : await readFolder(folder, 'own');
  const names = new Set(own.map(({ name }) => name));
  const files = [...shipped.filter(({ name }) => !names.has(name)), ...own].sort((a, b) => (a.name < b.name ? -1 : 1));
  const schema = await readText(join(SHIPPED, SCHEMA), SCHEMA, SHIPPED);
  return {
    schema,
    files,
    replaced: shipped.map(({ name }) => name).filter((name) => names.has(name)),
    hash: hashOf(schema, files),
  };
}

function hashOf(schema: string, files: readonly PolicyFile[]): string {
  const content = JSON.stringify([schema, ...files.map(({ name, text }) => [name, text])]);
  return createHash('sha256').update(content, 'utf8').digest('hex');
}

async function readFolder(folder: string, origin: PolicyFile['origin']): Promise<PolicyFile[]> {
  // A link inside the folder is followed, as volumes of orchestrators need it, but not out of it: what is no policy
  // must not be quoted in the message about a bad one.
  const [root, names] = await Promise.all([realpath(folder), namesIn(folder)]).catch((error: unknown) => {
    throw error instanceof Failure ? error : invalid('The folder of policies cannot be read.', error);
  });
  const files: PolicyFile[] = [];
  let bytes = 0;
  for (const name of names) {
    const text = await readText(join(root, name), name, root);
    bytes += Buffer.byteLength(text);
    if (bytes > MAX_TOTAL_BYTES) throw invalid(`The policies have more than ${MAX_TOTAL_BYTES} bytes.`);
    files.push({ name, origin, text });
  }
  return files;
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  let entries = 0;
  for await (const { name } of await opendir(folder)) {
    if (++entries > MAX_ENTRIES) throw invalid(`The folder of policies has more than ${MAX_ENTRIES} entries.`);
    if (!name.endsWith(ENDING)) continue;
    if (!NAME.test(name)) throw invalid('A policy file has a name of other characters than A-Z, a-z, 0-9, _, . and -.');
    names.push(name);
  }
  if (names.length > MAX_FILES) throw invalid(`The folder of policies has more than ${MAX_FILES} policy files.`);
  return names.sort();
}

async function readText(path: string, name: string, root: string): Promise<string> {
  const bytes = await readBytes(path, name, root);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(`${name} is not text in UTF-8.`, cause);
  }
}

/** Waits for nothing: a pipe or device in the place of a file is refused, not read. */
async function readBytes(path: string, name: string, root: string): Promise<Buffer> {
  try {
    const target = await realpath(path);
    if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) throw invalid(`${name} links out of its folder.`);
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    await using handle = await open(target, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0));
    if (!(await handle.stat()).isFile()) throw invalid(`${name} is not a file.`);
    const buffer = Buffer.allocUnsafe(MAX_FILE_BYTES + 1);
    let length = 0;
    // One byte more than allowed shows a file that is too large, whatever its size was said to be.
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > MAX_FILE_BYTES) throw invalid(`${name} has more than ${MAX_FILE_BYTES} bytes.`);
    }
    return buffer.subarray(0, length);
  } catch (error) {
    throw error instanceof Failure ? error : invalid(`${name} cannot be read.`, error);
  }
}

function invalid(sentence: string, cause?: unknown): Failure {
  return new Failure('failed-precondition', 'POLICIES_INVALID', sentence, { cause });
}
