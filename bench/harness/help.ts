import { readFileSync } from 'node:fs';
import { programOf } from './benches.ts';

/** The help text of a bench: the comment at the beginning of its program. */
export function helpOf(bench: string, what: string): string {
  const source = readFileSync(programOf(bench), 'utf8');
  const comment = /^\/\*\*(.*?)\*\//s.exec(source)?.[1] ?? '';
  const text = comment.replaceAll(/^ *\*? ?/gm, '').trim();
  return `npm run bench -- ${bench}: ${what}\n\n${text}\n\nEvery suite: --json prints one JSON document, --out FILE also writes it to a file, --seed N adds N to every seed.`;
}
