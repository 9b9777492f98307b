import { InvalidArgumentError, Option, type Command } from 'commander';
import { addClientCommands } from './client-commands.ts';
import { decimalNumber, wholeNumber } from './numbers.ts';
import { addAddressOptions, addConnectionOptions, addStoreOptions, collect, runs } from './shared-options.ts';
import { firstIdSince } from './subject-ids.ts';

/** Commands that work on the store itself, with or without a running service. */
export function addOperatorCommands(program: Command): void {
  addClientCommands(program);
  const keys = program.command('keys').description('keys that encrypt stored templates');
  runs(
    keys
      .command('create')
      .argument('<file>', 'key file to write')
      .description('create a key file with a first key, for RIDGEWATCH_KEY_FILE')
      .option('--json', 'print one JSON document')
      .addHelpText('after', '\nExample:\n  $ ridgewatch keys create /etc/ridgewatch/keys.json'),
    async () => (await import('./commands/keys.ts')).createKeys,
  );
  runs(
    addStoreOptions(keys.command('list').description('list keys and the number of templates that each encrypts')),
    async () => (await import('./commands/keys.ts')).listKeys,
  );
  runs(
    addStoreOptions(
      keys
        .command('rotate')
        .description('create a key and re-encrypt every template with it, beside the running service'),
    )
      .option('--keep', 'no new key: finish an interrupted rotation')
      .addHelpText(
        'after',
        '\nThe old key stays in the file because backups and indexes need it. "keys forget" removes it.',
      ),
    async () => (await import('./commands/keys.ts')).rotateKeys,
  );
  runs(
    addStoreOptions(
      keys
        .command('forget')
        .argument('<id>', 'key to remove from the key file')
        .description(
          'remove a key that neither a template nor the published index is encrypted with; older backups cannot be read without it',
        ),
    )
      .option('--index-dir <dir>', 'directory of the indexes (RIDGEWATCH_INDEX_DIR)')
      .option('--yes', 'do not ask'),
    async () => (await import('./commands/keys.ts')).forgetKey,
  );
  runs(
    addConnectionOptions(
      program
        .command('content-hash')
        .description('print a hash of all searchable content; two services that agree print the same'),
    ),
    async () => (await import('./commands/content-hash.ts')).contentHash,
  );
  runs(
    addConnectionOptions(
      program
        .command('dedup')
        .description('search the gallery for subjects that resemble each other, such as people enrolled twice'),
    )
      .option('--gallery <name>', 'only subjects of this gallery; may be given several times', collect)
      .addOption(
        new Option('--since <time>', 'only subjects enrolled since then, each against all')
          .argParser(firstIdSince)
          .conflicts('after'),
      )
      .option('--after <subject>', 'only subjects with a greater id: continues an earlier run')
      .addOption(
        new Option('--max-duplicates <n>', 'similar subjects shown per subject')
          .default(5)
          .argParser(wholeNumber(1, 50)),
      )
      .addOption(
        new Option(
          '--target-fpir <rate>',
          'share of the subjects that may get a false pair, 1e-9 to 0.5; 1 / subjects when not given',
        ).argParser(decimalNumber(1e-9, 0.5)),
      )
      .addOption(
        new Option('--max-log10-fmr <x>', 'threshold itself: highest log10 of the fused false match rate, -12 to 0')
          .argParser(decimalNumber(-12, 0))
          .conflicts('targetFpir'),
      )
      .option('--exit-code', 'end with 3 when there is a pair')
      .addHelpText(
        'after',
        '\nEach subject is searched in turn with other callers, so a large gallery takes hours; Ctrl-C loses only the output.\n\nExamples:\n  $ ridgewatch dedup --since 2026-03-01T00:00:00Z --json\n  $ ridgewatch dedup --gallery watchlist --max-log10-fmr -9',
      ),
    async () => (await import('./commands/dedup.ts')).dedup,
  );
  runs(
    addStoreOptions(
      program
        .command('import')
        .argument('<file>', 'records: .ndjson, .jsonl or .binpb')
        .description('enrol the records of a file directly into the store, with or without a running service'),
    )
      .option('--index-dir <dir>', 'directory of the indexes (RIDGEWATCH_INDEX_DIR)')
      .option('--workers <count>', 'threads (RIDGEWATCH_WORKERS)')
      .option('--report <file>', 'write each refused record and its reason to a new file, one JSON object a line')
      .addHelpText(
        'after',
        '\nEach record is an EnrollRequest of the contract: a line of JSON, or its bytes after their length (protobuf’s\ndelimited form). An interrupted import resumes where it stopped; records enrolled before are left unchanged.\n\nExample:\n  $ ridgewatch import watchlist.ndjson --report refused.ndjson && ridgewatch index build --publish',
      ),
    async () => (await import('./commands/import.ts')).importRecords,
  );
  runs(
    addStoreOptions(
      program
        .command('export')
        .argument('<file>', 'new file: .ndjson, .jsonl or .binpb')
        .description(
          'write the records of the store, with templates, to a file that import reads; the service may run',
        ),
    )
      .option('--gallery <name>', 'only subjects of this gallery')
      .option('--contributor <name>', 'only subjects of this contributor')
      .addHelpText(
        'after',
        '\nThe templates in it are not encrypted. Faces are written as stored: a byte for each component. To move a whole\nstore, with receipts and change numbers, use backup and restore.\n\nExample:\n  $ ridgewatch export watchlist.ndjson --gallery watchlist',
      ),
    async () => (await import('./commands/export.ts')).exportToFile,
  );
  runs(
    addStoreOptions(
      program
        .command('backup')
        .argument('<file>', 'new file')
        .description('write the whole store to an encrypted file, beside a running service'),
    ).addHelpText('after', '\nThe keys are not in it: keep a copy of the key file elsewhere.'),
    async () => (await import('./commands/backup.ts')).backup,
  );
  runs(
    addStoreOptions(
      program.command('restore').argument('<file>', 'backup').description('fill an empty store from a backup'),
    ).addHelpText(
      'after',
      '\nRestores everything or nothing. Needs the key file that the backup was made with.\n\nExample:\n  $ ridgewatch restore backup.rwb --data-dir /var/lib/ridgewatch --key-file keys.json',
    ),
    async () => (await import('./commands/backup.ts')).restoreBackup,
  );
  const store = program.command('store').description('the store itself');
  runs(
    addStoreOptions(
      store
        .command('check')
        .description('read every row, template and index of the store and report damage (exit code 7 if there is any)'),
    )
      .option('--index-dir <dir>', 'directory of the indexes (RIDGEWATCH_INDEX_DIR)')
      .option('--repair', 'rebuild what can be derived from other data: indexes, counters, lists; loses nothing')
      .option(
        '--expunge',
        'like --repair, then remove damaged references and blocks, and expunge subjects that have no other reference',
      )
      .addOption(
        new Option(
          '--expunge-at-most <n>',
          'with --expunge: largest number of subjects to expunge; needed with --yes for more than a tenth',
        ).argParser(wholeNumber(0, 1_000_000_000)),
      )
      .option('--reason <text>', 'with --expunge: reason recorded in changes and receipts')
      .option('--yes', 'do not ask')
      .addHelpText(
        'after',
        '\nWorks with or without a running service, also if the service does not start. A service serves everything that is\nnot damaged.\n\nExample:\n  $ ridgewatch store check\n  $ ridgewatch store check --repair\n  $ ridgewatch store check --expunge --expunge-at-most 3',
      ),
    async () => (await import('./commands/store-check.ts')).checkStore,
  );
  addReceiptCommands(program.command('receipt').description('signed receipts of expunged subjects'));
  addIndexCommands(program.command('index').description('indexes: files from which a service starts in seconds'));
}

function addReceiptCommands(receipt: Command): void {
  const load = () => import('./commands/receipt.ts');
  runs(
    receipt
      .command('verify')
      .argument('<file>', 'receipt')
      .description('verify a receipt offline, with the public key')
      .requiredOption('--key <file>', 'public key of the service (PEM)')
      .option('--subject <id>', 'also check that it is for this subject')
      .option('--json', 'print one JSON document')
      .addHelpText(
        'after',
        '\nExample:\n  $ ridgewatch receipt verify receipt.json --key service.pem --subject 3f0c9c1e-…',
      ),
    async () => (await load()).verify,
  );
  runs(
    addStoreOptions(receipt.command('public-key').description('print the public key that verifies receipts')),
    async () => (await load()).publicKey,
  );
  runs(
    addStoreOptions(
      receipt
        .command('show')
        .argument('<subject>', 'id of the subject who was expunged')
        .description('print the receipt of an expunged subject from the store'),
    ),
    async () => (await load()).show,
  );
}

function addIndexCommands(index: Command): void {
  const load = () => import('./commands/gallery-index.ts');
  const workers = (command: Command) => command.option('--workers <count>', 'threads (RIDGEWATCH_WORKERS)');
  runs(
    workers(
      addAddressOptions(addIndexOptions(index.command('build').description('build an index of the current store'))),
    )
      .option('--no-reuse', 'encode every template again, also those in an earlier index')
      .option('--graph', 'also build graphs of partitions with 20,000 references or more; takes minutes for a million')
      .option('--publish', 'publish the index afterwards')
      .addHelpText(
        'after',
        '\nAn interrupted build leaves its work to the next one.\n\nExample:\n  $ ridgewatch index build && ridgewatch index verify && ridgewatch index publish',
      ),
    async () => (await import('./commands/index-building.ts')).build,
  );
  runs(
    workers(addIndexOptions(index.command('verify').argument('[name]', 'index; the newest when not given')))
      .description('verify every byte, load the index, and search it with its own references')
      .addOption(new Option('--sample <n>', "references to search, or 'all'").default('1000').argParser(sampleSize)),
    async () => (await import('./commands/index-verification.ts')).verify,
  );
  runs(
    addIndexOptions(index.command('list').description('list indexes and the published one')),
    async () => (await load()).list,
  );
  runs(
    addIndexOptions(
      index
        .command('inspect')
        .argument('[name]', 'index; the newest when not given')
        .description('show the manifest of an index'),
    ),
    async () => (await load()).inspect,
  );
  runs(
    addIndexOptions(
      index.command('diff').argument('<first>').argument('<second>').description('show the differences of two indexes'),
    ),
    async () => (await load()).diff,
  );
  runs(
    addAddressOptions(
      addIndexOptions(
        index
          .command('publish')
          .argument('[name]', 'index; the newest when not given')
          .description('publish an index: services switch to it within a second, the one at --address at once'),
      ),
    ),
    async () => (await load()).publishOne,
  );
  runs(
    addConnectionOptions(
      index
        .command('reload')
        .description('make a service load the published index now; it does so by itself within a second'),
    ),
    async () => (await import('./commands/reload-index.ts')).reloadIndex,
  );
  runs(
    addIndexOptions(index.command('prune').description('delete the oldest indexes, never the published one')).addOption(
      new Option('--keep <n>', 'number of indexes to keep').default(2).argParser(wholeNumber(1, 1_000_000)),
    ),
    async () => (await load()).pruneOld,
  );
}

function addIndexOptions(command: Command): Command {
  return addStoreOptions(command).option('--index-dir <dir>', 'directory of the indexes (RIDGEWATCH_INDEX_DIR)');
}

function sampleSize(text: string): string {
  if (text === 'all' || /^[1-9]\d{0,8}$/.test(text)) return text;
  throw new InvalidArgumentError("Expected a positive whole number, or 'all'.");
}
