import type { Command } from 'commander';
import { runs } from './shared-options.ts';

/** Commands that work on the store itself, beside the service that runs on it or without one. */
export function addOperatorCommands(program: Command): void {
  const keys = program.command('keys').description('the keys that stored templates are encrypted with');
  runs(
    keys
      .command('create')
      .argument('<file>', 'key file to write')
      .description('make a file with a first key, for RIDGEWATCH_KEY_FILE')
      .option('--json', 'print one JSON document')
      .addHelpText('after', '\nExample:\n  $ ridgewatch keys create /etc/ridgewatch/keys.json'),
    async () => (await import('./commands/keys.ts')).createKeys,
  );
  runs(
    addStoreOptions(keys.command('list').description('keys, and how many templates each encrypts')),
    async () => (await import('./commands/keys.ts')).listKeys,
  );
  runs(
    addStoreOptions(
      keys
        .command('rotate')
        .description('make a new key and encrypt every template with it, while the service goes on'),
    )
      .option('--keep', 'no new key: only encrypt what is not encrypted with the current one, as after an interruption')
      .addHelpText(
        'after',
        '\nThe old key stays in the file, for backups and indexes need it; keys forget removes it.',
      ),
    async () => (await import('./commands/keys.ts')).rotateKeys,
  );
  runs(
    addStoreOptions(
      keys
        .command('forget')
        .argument('<id>', 'key to remove from the key file')
        .description('remove a key that no template is encrypted with; older backups cannot be read without it'),
    ),
    async () => (await import('./commands/keys.ts')).forgetKey,
  );
}

/** Where the store is. */
export function addStoreOptions(command: Command): Command {
  return command
    .option('--data-dir <dir>', "the service's data directory (RIDGEWATCH_DATA_DIR), where DATABASE_URL is not set")
    .option('--key-file <file>', 'file with the keys (RIDGEWATCH_KEY_FILE)')
    .option('--json', 'print one JSON document');
}
