import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Failure } from '../failure.ts';

/**
 * Asks for confirmation of an irreversible action.
 * @param word - the answer that confirms
 * @throws Failure CONFIRMATION_REQUIRED if there is no terminal to ask on
 */
export async function agreed({ yes }: { readonly yes?: boolean }, question: string, word = 'yes'): Promise<boolean> {
  if (yes === true) return true;
  if (!process.stdin.isTTY) {
    const sentence = `${question} There is no terminal to ask on: confirm with --yes.`;
    throw new Failure('invalid-argument', 'CONFIRMATION_REQUIRED', sentence);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // End of input, as by Ctrl-D, does not confirm.
    const ended = once(terminal, 'close').then(() => '');
    return (await Promise.race([terminal.question(`${question} Type ${word}: `), ended])).trim() === word;
  } finally {
    terminal.close();
  }
}
