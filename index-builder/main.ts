#!/usr/bin/env node
/** Makes what the service compares with: see `--help`. */
import { program } from 'commander';
import { addTrainCommand } from './train/command.ts';
import { addTrainVectorCommand } from './train/vector-command.ts';

program.name('index-builder').description('Learns the models of Ridgewatch').showHelpAfterError();
addTrainCommand(program);
addTrainVectorCommand(program);
try {
  await program.parseAsync();
} catch (error) {
  console.error(`index-builder: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
