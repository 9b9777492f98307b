import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Failure } from '../failure.ts';

/**
 * Asks whether something may be done that cannot be undone.
 * @param word - that agrees
 * @throws Failure CONFIRMATION_REQUIRED where no terminal is there to ask
 */
export async function agreed({ yes }: { readonly yes?: boolean }, question: string, word = 'yes'): Promise<boolean> {
  if (yes === true) return true;
  if (!process.stdin.isTTY) {
    const sentence = `${question} There is no terminal to ask: say --yes.`;
    throw new Failure('invalid-argument', 'CONFIRMATION_REQUIRED', sentence);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Who ends the input instead, with Ctrl-D, does not agree.
    const ended = once(terminal, 'close').then(() => '');
    return (await Promise.race([terminal.question(`${question} Type ${word}: `), ended])).trim() === word;
  } finally {
    terminal.close();
  }
}
