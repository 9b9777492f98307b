import { Option, type Command } from 'commander';
import { wholeNumber } from './numbers.ts';
import { addConnectionOptions, collect, runs } from './shared-options.ts';

const CASE = 'id of the case';

/** Commands for cases: what two examiners decide about the candidates of a search. */
export function addCaseCommands(program: Command): void {
  const cases = program.command('case').description('cases, which two examiners decide independently');
  const add = (name: string, description: string) => addConnectionOptions(cases.command(name).description(description));
  runs(
    add('list', 'list cases of an agency, oldest first')
      .option('--agency <name>', "agency that opened them; default: the caller's own")
      .addOption(
        new Option('--state <state>', 'only cases of this state').choices([
          ...['open', 'conflict', 'escalated', 'closed', 'expired'],
        ]),
      ),
    async () => (await import('./commands/cases.ts')).listCases,
  );
  runs(
    add('show', 'show a case, as far as you may see it now').argument('<case>', CASE),
    async () => (await import('./commands/cases.ts')).showCase,
  );
  runs(
    add('analyse', 'say what the probe alone is worth, and take the case; its candidates are shown then')
      .argument('<case>', CASE)
      .addOption(
        new Option('--value <value>', 'what the probe suffices for')
          .choices(['sufficient', 'limited', 'none'])
          .makeOptionMandatory(),
      )
      .option('--minutiae <count>', 'minutiae that you would use', wholeNumber(0, 1000), 0)
      .option('--text <text>', 'a comment', ''),
    async () => (await import('./commands/cases.ts')).analyseCase,
  );
  runs(
    add('decide', 'decide about all candidates, once and for good')
      .argument('<case>', CASE)
      .option('--candidate <subject=conclusion:reason[:text]>', 'a decision; one for each candidate', collect)
      .addHelpText(
        'after',
        '\nConclusions and their reasons: confirmed:corresponding-detail, excluded:differing-detail,\ninconclusive:low-quality, inconclusive:little-in-common; each also with the reason other and a text.\n\nExample:\n  $ ridgewatch case decide CASE --candidate SUBJECT=excluded:differing-detail',
      ),
    async () => (await import('./commands/cases.ts')).decideCase,
  );
  runs(
    add('escalate', 'hand a case that you have analysed to a supervisor')
      .argument('<case>', CASE)
      .requiredOption('--reason <text>', 'why'),
    async () => (await import('./commands/cases.ts')).escalateCase,
  );
  runs(
    add('outcome', 'report what was found out after a case has ended')
      .argument('<case>', CASE)
      .argument('<subject>', 'id of the candidate')
      .addOption(
        new Option('--finding <finding>', 'what was found out')
          .choices(['same-person', 'different-person', 'unknown'])
          .makeOptionMandatory(),
      )
      .option('--text <text>', 'a comment', ''),
    async () => (await import('./commands/cases.ts')).reportOutcome,
  );
}
