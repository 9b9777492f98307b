import { Option, type Command } from 'commander';
import { addLifeOptions } from './life-options.ts';
import { wholeNumber } from './numbers.ts';
import { addConnectionOptions, collect, PROVENANCES, runs } from './shared-options.ts';

/** Commands about one enrolled record. */
export function addRecordCommands(program: Command): void {
  runs(
    addConnectionOptions(
      program
        .command('show')
        .argument('<subject>', 'id of the subject')
        .description('show a record, without templates'),
    ).addHelpText('after', '\nExample:\n  $ ridgewatch show 3f0c9c1e-… --json'),
    async () => (await import('./commands/record.ts')).show,
  );
  runs(
    addLifeOptions(
      addConnectionOptions(
        program
          .command('update')
          .argument('<subject>', 'id of the subject')
          .description('change what a record says, as its owner; what is not named stays'),
      ),
      'the record',
    )
      .option('--resumed', 'search it again, after --suspended')
      .option('--gallery <name>', 'galleries in place of all; may be given several times', collect)
      .option('--caveat <code>', 'handling codes in place of all; may be given several times', collect)
      .addOption(new Option('--provenance <how>', 'how the record came to be').choices(PROVENANCES))
      .addOption(
        new Option('--expected-version <n>', 'refuse the change if the record has another version').argParser(
          wholeNumber(1, Number.MAX_SAFE_INTEGER),
        ),
      )
      .addHelpText(
        'after',
        '\nExamples:\n  $ ridgewatch update 3f0c9c1e-… --review 2027-06-30\n  $ ridgewatch update 3f0c9c1e-… --suspended\n  $ ridgewatch update 3f0c9c1e-… --handling notify-only --contact "duty desk, +00 555 0100"',
      ),
    async () => (await import('./commands/record.ts')).update,
  );
}
