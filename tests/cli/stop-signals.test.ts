import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../cluster.ts';

const module = resolve(import.meta.dirname, '../../src/cli/stop-signals.ts');

/** A process in which `body` uses `signals`. */
async function listening(body: string) {
  const code = `import { StopSignals, exitCodeOf } from ${JSON.stringify(module)};
    const signals = new StopSignals({ onMeaningless: (signal) => console.log('nothing', signal) });
    const alive = setInterval(() => undefined, 1000);
    ${body}
    console.log('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await once(reader, 'line');
  return { child, lines, reader };
}

/** On Linux. Omitted are signals that Node.js reserves, that stop or continue a process, and that report faults. */
const OTHERS =
  /^SIG(KILL|STOP|TSTP|TTIN|TTOU|CONT|CHLD|WINCH|URG|PIPE|XFSZ|USR1|USR2|SEGV|BUS|ILL|FPE|ABRT|IOT|TRAP|SYS|POLL|UNUSED|INFO|BREAK)$/;
const ending = Object.keys(constants.signals).filter((name) => !OTHERS.test(name)) as NodeJS.Signals[];

it('treats every other signal that would end a process as a request to stop', async () => {
  expect(ending.length).toBeGreaterThan(7);
  const asked = `signals.asked.addEventListener('abort', () => { console.log(signals.asked.reason); clearInterval(alive); });`;
  await Promise.all(
    ending.map(async (signal) => {
      const { child, lines } = await listening(asked);
      child.kill(signal);
      await once(child, 'close');
      expect([signal, child.exitCode, lines.at(-1)]).toEqual([signal, 0, signal]);
    }),
  );
});

it('ignores SIGUSR1 and SIGUSR2', async () => {
  const { child, lines, reader } = await listening(`signals.asked.addEventListener('abort', () => process.exit(9));`);
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    child.kill(signal);
    await once(reader, 'line');
    expect(lines.at(-1)).toBe(`nothing ${signal}`);
  }
  child.kill('SIGTERM');
  await once(child, 'close');
  expect(child.exitCode).toBe(9);
});

it('counts simultaneous signals as one request; the second hurries, the third exits at once', async () => {
  const { child, lines, reader } = await listening(
    `signals.asked.addEventListener('abort', () => console.log('asked'));
     signals.hurried.addEventListener('abort', () => console.log('hurried'));
     // Time passes as the test says.
     const now = performance.now.bind(performance);
     let ahead = 0;
     performance.now = () => now() + ahead;
     process.on('SIGUSR2', () => (ahead += 5000));
     process.on('SIGTERM', () => console.log('nothing more'));`,
  );
  const until = async (text: string, times = 1) => {
    while (lines.filter((line) => line === text).length < times) await once(reader, 'line');
  };
  let passed = 0;
  const later = () => {
    child.kill('SIGUSR2');
    return until('nothing SIGUSR2', ++passed);
  };
  child.kill('SIGINT');
  await until('asked');
  child.kill('SIGINT');
  child.kill('SIGTERM');
  // The system may reorder signals: wait for this one before time passes.
  await until('nothing more');
  await later();
  child.kill('SIGINT');
  await until('hurried');
  expect(lines.filter((line) => !line.startsWith('nothing'))).toEqual(['ready', 'asked', 'hurried']);
  await later();
  child.kill('SIGTERM');
  await once(child, 'close');
  expect(child.exitCode).toBe(128 + constants.signals.SIGTERM);
});

describe('SIGHUP', () => {
  it('asks to read files again where that means something, and never to stop', async () => {
    const body = `signals.close();
      const own = new StopSignals({ onHangup: () => console.log('again') });
      own.asked.addEventListener('abort', () => process.exit(9));`;
    const { child, lines, reader } = await listening(body);
    for (let times = 1; times <= 2; times++) {
      child.kill('SIGHUP');
      while (lines.filter((line) => line === 'again').length < times) await once(reader, 'line');
    }
    child.kill('SIGTERM');
    await once(child, 'close');
    expect(child.exitCode).toBe(9);
  });

  const hasScript = spawnSync('script', ['--version']).status === 0;
  it.skipIf(!hasScript)(
    `of a terminal that closes asks to stop, also where it is sent before${hasScript ? '' : ' (skipped: there is no script)'}`,
    async () => {
      for (const isSentBefore of [false, true]) {
        const folder = temporaryDirectory();
        const [program, said] = [join(folder, 'program.mjs'), join(folder, 'said')];
        const code = `import { appendFileSync } from 'node:fs';
          import { StopSignals } from ${JSON.stringify(module)};
          const say = (line) => appendFileSync(${JSON.stringify(said)}, line + '\\n');
          const signals = new StopSignals({ onHangup: () => say('again') });
          signals.asked.addEventListener('abort', () => (say(signals.asked.reason), process.exit(0)));
          setInterval(() => undefined, 1000);
          say(process.pid);`;
        writeFileSync(program, code);
        // A job in the background is not told when its terminal closes.
        const command = `${process.execPath} ${program}`;
        const line = isSentBefore ? `set -m; ${command} & wait` : `exec ${command}`;
        const terminal = spawn('script', ['-qefc', line, '/dev/null'], {
          stdio: ['pipe', 'ignore', 'ignore'],
        });
        const lines = () => (existsSync(said) ? readFileSync(said, 'utf8').trim().split('\n') : []);
        await expect.poll(lines, { timeout: 10_000 }).toHaveLength(1);
        const pid = Number(lines()[0]);
        if (isSentBefore) {
          process.kill(pid, 'SIGHUP');
          await expect.poll(lines).toEqual([String(pid), 'again']);
        }
        // The system closes the terminal with the program that holds its other end.
        terminal.kill('SIGKILL');
        await expect.poll(() => lines().at(-1), { timeout: 10_000 }).toBe('SIGHUP');
      }
    },
  );
});
