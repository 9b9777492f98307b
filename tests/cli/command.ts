import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { programFile } from '../../bench/service/program-file.ts';
import { tokenEnvironment } from '../tokens.ts';

const root = resolve(import.meta.dirname, '../..');

export interface CommandRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as a user would. */
export function ridgewatch(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandRun> {
  return new Promise((done) => {
    const options = { cwd: root, env: { ...process.env, ...tokenEnvironment(args, env), ...env } };
    execFile(process.execPath, [programFile, ...args], options, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}
