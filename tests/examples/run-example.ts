/** Runs examples as a reader would: as separate programs, from the root of the repository. */
import { execFile, execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');
export const template = (folder: string, ...names: string[]) =>
  (names.length > 0 ? names : ['right-index.iso', 'left-index.iso', 'face.f32']).map(
    (name) => `docs/examples/templates/${folder}/${name}`,
  );

export interface ExampleRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(program: string, args: readonly string[]): Promise<ExampleRun> {
  return new Promise((done) => {
    execFile(program, args, { cwd: root }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      done({ code, stdout, stderr });
    });
  });
}

/** A language of the examples of calls. */
export interface Language {
  readonly name: string;
  /** Why its examples cannot run here. */
  readonly missing: string | undefined;
  run(example: 'enrol' | 'identify', args: readonly string[]): Promise<ExampleRun>;
}

function whyNoPython(): string | undefined {
  try {
    execFileSync('python3', ['-c', 'import grpc, grpc_tools.protoc'], { stdio: 'ignore' });
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? 'skipped: python3 is not on the path'
      : 'skipped: python3 has no grpcio and grpcio-tools; .ci/run installs them';
  }
}

export const LANGUAGES: readonly Language[] = [
  {
    name: 'Node.js',
    missing: undefined,
    run: (example, args) => run(process.execPath, [`docs/examples/node/${example}.ts`, ...args]),
  },
  {
    name: 'Python',
    missing: whyNoPython(),
    run: (example, args) => run('python3', [`docs/examples/python/${example}.py`, ...args]),
  },
];

export function titleOf({ name, missing }: Language): string {
  return missing === undefined ? name : `${name} (${missing})`;
}
