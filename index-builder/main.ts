#!/usr/bin/env node
/** Makes the service's indexes, models and tables. See `--help`. */
import { program } from 'commander';
import { run } from '../src/cli/program.ts';
import { addCalibrateCommand } from './calibrate/command.ts';
import { addTrainCommand } from './train/command.ts';
import { addTrainVectorCommand } from './train/vector-command.ts';

program
  .name('index-builder')
  .description('Builds and verifies indexes of a store; trains models and calibrates them')
  .showHelpAfterError();
for (const [name, description] of [
  ['build', 'build an index of a store: ridgewatch index build'],
  ['verify', 'verify an index: ridgewatch index verify'],
]) {
  program
    .command(name)
    .description(description)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => run([...process.argv.slice(0, 2), 'index', ...process.argv.slice(2)]));
}
addTrainCommand(program);
addTrainVectorCommand(program);
addCalibrateCommand(program);
try {
  await program.parseAsync();
} catch (error) {
  console.error(`index-builder: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
