import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalNumber, wholeNumber } from '../../src/cli/numbers.ts';
import { createProgram } from '../../src/cli/program.ts';

/** Errors of the argument parser, before any command begins. */
async function refusalOf(args: readonly string[]): Promise<string> {
  const program = createProgram();
  let told = '';
  const every = [program, ...program.commands.flatMap((command) => [command, ...command.commands])];
  for (const command of every) command.exitOverride().configureOutput({ writeErr: (text) => void (told += text) });
  await expect(program.parseAsync([...args], { from: 'user' })).rejects.toMatchObject({ exitCode: 1 });
  return told;
}

it.each([
  ['--timeout', ['status'], ['soon', '0', '-1', 'Infinity', 'NaN', '1e999', '0x10', '', ' 5', '86401']],
  ['--max-candidates', ['identify', 'x'], ['0', '501', '1.5', '1e1', '-1', 'NaN', '', '10 ', '٣']],
  ['--max-log10-fmr', ['identify', 'x'], ['-12.002', '0.1', 'NaN', '-Infinity', '', '−6', '-1e2']],
  ['--target-fpir', ['identify', 'x'], ['0', '0.6', '1e-10', '-0.1', '0x1', '1%', '']],
  ['--position', ['identify', 'x'], ['11', '-1', '2.0', '', ' ']],
  ['--keep', ['index', 'prune'], ['0', '1.5', '-1', 'all']],
  ['--sample', ['index', 'verify'], ['0', '1.5', '-1', 'some']],
])('%s rejects anything but a number in its range', async (option, command, values) => {
  for (const value of values) {
    const told = await refusalOf([...command, `${option}=${value}`]);
    expect(told).toContain(`'${option} <`);
    expect(told).toContain(`'${value}' is invalid`);
  }
});

describe('numeric options', () => {
  it('are parsed exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (value) => {
        expect(wholeNumber(1, 500)(String(value))).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.double({ min: -12, max: 0, noNaN: true }), (value) => {
        expect(decimalNumber(-12, 0)(String(value))).toBe(Number(String(value)));
      }),
    );
    expect([decimalNumber(1e-9, 0.5)('1e-4'), decimalNumber(1e-9, 0.5)('0.5')]).toEqual([1e-4, 0.5]);
  });

  it('are never out of range', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.double().map(String)), (text) => {
        for (const read of [wholeNumber(1, 500), decimalNumber(1, 500)]) {
          try {
            const value = read(text);
            expect(value >= 1 && value <= 500).toBe(true);
          } catch (error) {
            expect(error).toMatchObject({ code: 'commander.invalidArgument' });
          }
        }
      }),
    );
  });
});
