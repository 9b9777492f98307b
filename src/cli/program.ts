import { Argument, Command, CommanderError, Option } from 'commander';
import { programVersion } from '../installation.ts';
import { EXIT, EXIT_TABLE } from './exit-codes.ts';
import { outliveReaders } from './stray-errors.ts';
import { decimalNumber, wholeNumber } from './numbers.ts';
import { addCertificateCommands } from './certificate-commands.ts';
import { addLoginCommands } from './login-commands.ts';
import { addAuditCommands } from './audit-commands.ts';
import { addOperatorCommands } from './operator-commands.ts';
import { addLifeOptions } from './life-options.ts';
import { addRecordCommands } from './record-commands.ts';
import { addSharingCommands } from './sharing-commands.ts';
import { addSubjectCommands } from './subject-commands.ts';
import { addConnectionOptions, addTemplateOptions, collect, PROVENANCES, PURPOSES, runs } from './shared-options.ts';

/** Builds the command line. */
export function createProgram(): Command {
  const program = new Command('ridgewatch')
    .description(
      '1:N biometric identification service. Answers are candidates for a trained examiner, never decisions.',
    )
    .version(programVersion)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageError(text)) })
    .addHelpText(
      'after',
      `\n${EXIT_TABLE}\n\nExamples:\n  $ ridgewatch serve\n  $ ridgewatch demo\n  $ ridgewatch identify right-index.iso left-index.iso`,
    );

  runs(
    program
      .command('serve')
      .description('run the service until Ctrl-C or SIGTERM')
      .option('--data-dir <dir>', 'directory of the embedded database (RIDGEWATCH_DATA_DIR)')
      .option('--grpc-port <port>', 'port for gRPC (RIDGEWATCH_GRPC_PORT)')
      .option('--http-port <port>', 'port for health and metrics (RIDGEWATCH_HTTP_PORT)')
      .option('--workers <count>', 'comparison threads (RIDGEWATCH_WORKERS)')
      .option('--demo <when>', 'load the demo gallery into an empty store: auto, always, never (RIDGEWATCH_DEMO)')
      .option('--json', 'write JSON log lines only, to standard output')
      .addHelpText(
        'after',
        '\nAll settings: docs/configuration.md.\n\nExamples:\n  $ ridgewatch serve --data-dir /var/lib/ridgewatch\n  $ DATABASE_URL=postgres://ridgewatch@db/ridgewatch ridgewatch serve',
      ),
    async () => (await import('./commands/serve.ts')).serve,
  );
  runs(
    addConnectionOptions(
      program
        .command('demo')
        .description('search the demo gallery for one traveller who is enrolled and one who is not'),
    ).addHelpText('after', '\nExample:\n  $ ridgewatch demo --json | jq .travellers[0].response.candidates'),
    async () => (await import('./commands/demo.ts')).demo,
  );
  runs(
    addLifeOptions(
      addTemplateOptions(
        addConnectionOptions(
          program
            .command('enroll')
            .argument('<dir>', 'folder of templates')
            .description('enrol the subjects whose templates are in a folder'),
        ),
      ),
      'the records',
    )
      .option('--contributor <name>', 'agency that owns the records', 'local')
      .option('--gallery <name>', 'gallery to add them to; may be given several times', collect)
      .option('--caveat <code>', 'handling code; may be given several times', collect)
      .addOption(
        new Option('--provenance <how>', 'how the records came to be').choices(PROVENANCES).default('unspecified'),
      )
      .option(
        '--group-by <regex>',
        'files directly in the folder whose names share the first group belong to one subject',
      )
      .addOption(
        new Option(
          '--each-file-a-person',
          'each file directly in the folder is a subject of its own, however similar the names',
        ).conflicts('groupBy'),
      )
      .addHelpText(
        'after',
        '\nEach sub-folder is one subject (external id = its name), and so is each file directly in the folder.\nWhere names of such files begin alike, state whether they belong to one subject: --group-by or --each-file-a-person.\nA second run enrols no subject twice; with another --gallery it adds the same subjects to that gallery.\n\nExamples:\n  $ ridgewatch enroll people/ --contributor agency-a --gallery watchlist\n  $ ridgewatch enroll prints/ --group-by "^(\\d+)_"',
      ),
    async () => (await import('./commands/enroll.ts')).enroll,
  );
  runs(
    addTemplateOptions(
      addConnectionOptions(
        program
          .command('identify')
          .argument('<files...>', 'templates of one person')
          .description('search a gallery for a person (1:N)'),
      ),
    )
      .option('--gallery <name>', 'search this gallery only; may be given several times', collect)
      .option('--max-candidates <n>', 'longest list wanted, 1 to 500', wholeNumber(1, 500), 10)
      .addOption(
        new Option('--target-fpir <rate>', 'false positive identification rate that sets the threshold, 1e-9 to 0.5')
          .argParser(decimalNumber(1e-9, 0.5))
          .conflicts('maxLog10Fmr'),
      )
      .addOption(new Option('--max-log10-fmr <log10>', 'explicit threshold, -12 to 0').argParser(decimalNumber(-12, 0)))
      .option('--exact', 'compare with every reference, without any index')
      .addOption(new Option('--purpose <why>', 'why the search is made').choices(Object.keys(PURPOSES)).default('test'))
      .option('--checkpoint <id>', 'the checkpoint that asks', 'cli')
      .option('--allow-partial', 'at the deadline, show what was found so far')
      .addOption(
        new Option(
          '--first-hit',
          'end the search as soon as a strong candidate is known; a stronger one may be missing',
        ).conflicts('exact'),
      )
      .option('--open-case', 'open a case about the candidates, for two examiners (ridgewatch case)')
      .option('--explain', 'explain the finger scores')
      .option('--exit-code', 'end with 3 when there is a candidate')
      .addHelpText(
        'after',
        '\nExamples:\n  $ ridgewatch identify right-index.iso left-index.iso\n  $ ridgewatch identify face.f32 --model arcface-r100 --target-fpir 0.0001 --json',
      ),
    async () => (await import('./commands/identify.ts')).identify,
  );
  runs(
    addTemplateOptions(
      addConnectionOptions(
        program
          .command('verify')
          .argument('<files...>', 'templates of one person')
          .description('compare templates with one enrolled subject, or with other templates (1:1)'),
      ),
    )
      .option('--subject <id>', 'enrolled subject to compare with')
      .option('--against <file>', 'template to compare with; may be given several times', collect)
      .addOption(
        new Option('--purpose <why>', 'why the comparison is made').choices(Object.keys(PURPOSES)).default('test'),
      )
      .option('--checkpoint <id>', 'the checkpoint that asks', 'cli')
      .option('--explain', 'explain the finger scores')
      .addHelpText(
        'after',
        '\nExamples:\n  $ ridgewatch verify probe.iso --subject 3f0c9c1e-…\n  $ ridgewatch verify probe.iso --against reference.iso',
      ),
    async () => (await import('./commands/verify.ts')).verify,
  );
  runs(
    addTemplateOptions(
      program
        .command('compare')
        .argument('<a>', 'probe')
        .argument('<b>', 'reference')
        .description('compare two templates, without a service'),
    )
      .option('--explain <file>', 'draw what the score of two fingers consists of, as a new SVG file')
      .option('--json', 'print one JSON document')
      .addHelpText(
        'after',
        '\nPrints the raw score and the estimated false match rate of one comparison.\n\nExample:\n  $ ridgewatch compare 101_1.iso 101_2.iso --json\n  $ ridgewatch compare 101_1.iso 101_2.iso --explain comparison.svg',
      ),
    async () => (await import('./commands/compare.ts')).compare,
  );
  runs(
    program
      .command('calibrate')
      .addArgument(new Argument('<modality>', 'modality of the templates').choices(['finger', 'face']))
      .description('measure false match rates on templates of your own')
      .requiredOption('--data <dir>', 'folder of templates, as of enroll; may be given several times', collect)
      .requiredOption('--out <file>', 'calibration file to write')
      .option(
        '--group-by <regex>',
        'files directly in the folder whose names share the first group belong to one person',
      )
      .option('--each-folder-a-person', 'each sub-folder is one person, even if names of its files begin differently')
      .option('--model <id:dimension>', 'model of face embeddings')
      .option('--force', 'overwrite the file')
      .option('--json', 'print one JSON document')
      .addHelpText(
        'after',
        '\nEach sub-folder is one person. A file directly in the folder is named after its person: <person>_<impression>, or\n<person>_<finger>_<impression>. Faces may also be rows of floats in embeddings.f32, with one line each in embeddings.tsv\nbelow a heading, the person in the first column. All templates of different people are compared. With several folders,\nthe table takes the worst of them at every score.\n\nExamples:\n  $ ridgewatch calibrate finger --data people/ --out finger.json\n  $ ridgewatch calibrate face --data faces/ --model arcface-r100:512 --out arcface.json\n  $ RIDGEWATCH_CALIBRATIONS=finger.json,arcface.json ridgewatch serve',
      ),
    async () => (await import('./commands/calibrate.ts')).calibrate,
  );
  runs(
    addConnectionOptions(
      program.command('status').description('show what the service holds and whether it is ready'),
    ).addHelpText('after', '\nExample:\n  $ ridgewatch status --json | jq .subject_count'),
    async () => (await import('./commands/status.ts')).status,
  );
  addRecordCommands(program);
  addExpunging(program);
  addSubjectCommands(program);
  addCertificateCommands(program);
  addLoginCommands(program);
  addOperatorCommands(program);
  addSharingCommands(program);
  addAuditCommands(program.command('audit').description('records of which client did what with which subjects'));
  return program;
}

/** The removal of a subject, by its contributor or by two administrators. */
function addExpunging(program: Command): void {
  const together = ['approve', 'proposals'];
  runs(
    addConnectionOptions(
      program
        .command('expunge')
        .argument('[subject]', 'id of the subject')
        .description('delete a subject and all its references, irrevocably'),
    )
      .option('--reason <text>', 'reason, which is recorded; must hold no name')
      .addOption(
        new Option('--propose', 'only propose it, as an administrator; for a record of any contributor').conflicts([
          ...together,
          'receipt',
        ]),
      )
      .addOption(
        new Option('--approve <proposal>', 'delete the subject of a proposal of another administrator').conflicts([
          'proposals',
          'reason',
        ]),
      )
      .addOption(new Option('--proposals', 'list the proposals of administrators').conflicts(['reason', 'receipt']))
      .option('--yes', 'do not ask')
      .option('--receipt <file>', 'write the signed receipt to a new file')
      .addHelpText(
        'after',
        '\nA proposal is void after 72 hours, and when the subject is changed.\n\nExamples:\n  $ ridgewatch expunge 3f0c9c1e-… --reason "court order 12/26" --yes\n  $ ridgewatch expunge 3f0c9c1e-… --reason "court order 12/26" --propose\n  $ ridgewatch expunge --approve 0198c0de-…',
      ),
    async () => (await import('./commands/expunge.ts')).expunge,
  );
}

/** An argument error in the form of other failures. */
function usageError(text: string): string {
  if (!process.argv.includes('--json')) return text;
  const message = text.trim().replace(/^error: /, '');
  return `${JSON.stringify({ error: { code: 'INVALID_ARGUMENT', reason: 'USAGE', message } })}\n`;
}

/** Runs the command line and sets the exit code. */
export async function run(argv: readonly string[]): Promise<void> {
  // By default only the owner can read written files.
  process.umask(0o077);
  outliveReaders();
  const program = createProgram();
  for (const command of program.commands) for (const one of [command, ...command.commands]) one.exitOverride();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.refused;
  }
}
