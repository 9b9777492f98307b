import type { Command } from 'commander';
import { addConnectionOptions, runs } from './shared-options.ts';

/** Commands about one subject. */
export function addSubjectCommands(program: Command): void {
  const subject = program.command('subject').description('one enrolled subject');
  runs(
    addConnectionOptions(
      subject
        .command('history')
        .argument('<subject>', 'id of the subject')
        .description('print what was changed of a subject, when, and by whom'),
    ).addHelpText('after', '\nExample:\n  $ ridgewatch subject history 3f0c9c1e-… --json'),
    async () => (await import('./commands/subject.ts')).subjectHistory,
  );
}
