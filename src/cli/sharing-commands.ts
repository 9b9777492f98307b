import type { Command } from 'commander';
import { addCaseCommands } from './case-commands.ts';
import { wholeNumber } from './numbers.ts';
import { addConnectionOptions, runs } from './shared-options.ts';

/** Commands for what agencies tell each other, and for cases. */
export function addSharingCommands(program: Command): void {
  addCaseCommands(program);
  const hits = program.command('hits').description("hits on the records of the caller's agency");
  runs(
    addConnectionOptions(
      hits.command('watch').description('print the hits after the acknowledged one, and each new one, until Ctrl-C'),
    )
      .option(
        '--after <position>',
        'start after this position instead; 0: with the first hit',
        wholeNumber(0, 1e15 - 1),
      )
      .option('--ack', 'acknowledge what was printed')
      .option('--once', 'end when there are no more hits for the moment')
      .addHelpText(
        'after',
        '\nWith --json each hit is a line. A connection that breaks is made again for as long as --timeout says.\n\nExamples:\n  $ ridgewatch hits watch --token-file agency-b.token\n  $ ridgewatch hits watch --once --ack --json >> hits.jsonl',
      ),
    async () => (await import('./commands/hits.ts')).watchHits,
  );
  runs(
    addConnectionOptions(
      hits
        .command('ack')
        .argument('<position>', 'position of the last hit that was dealt with', wholeNumber(0, 1e15 - 1))
        .description('acknowledge hits: they are not printed again'),
    ),
    async () => (await import('./commands/hits.ts')).acknowledgeHits,
  );
}
