/** Options for the life of a record: limits in time, a suspension, an age, what its owner asks for. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { SubjectData } from '../contract/generated/ridgewatch/v1/gallery.ts';
import { HandlingCode } from '../contract/generated/ridgewatch/v1/handling.ts';
import { toWireHandling } from '../contract/wire-handling.ts';
import { nameOf } from '../contract/wire-names.ts';
import { Failure } from '../failure.ts';
import { HANDLING_CODES, type Handling } from '../store/records.ts';

const NEVER = 'never';
const NOTHING = 'nothing';

/** 'never': taken away; undefined: not named. */
type Time = Date | typeof NEVER;

export interface LifeOptions {
  readonly expires?: Time;
  readonly review?: Time;
  readonly minorUntil?: Time;
  readonly suspended?: boolean;
  readonly handling?: Handling['code'] | typeof NOTHING;
  readonly instructions?: string;
  readonly contact?: string;
}

/** The fields that the options name, with their values. */
export type Life = Partial<Pick<SubjectData, 'expireTime' | 'reviewTime' | 'suspended' | 'minorUntil' | 'handling'>>;

/** @param what - whose they are, e.g. `the records` */
export function addLifeOptions(command: Command, what: string): Command {
  return command
    .addOption(timeOption('--expires <time>', `end of ${what}`))
    .addOption(timeOption('--review <time>', `by when ${what} have to be reviewed; not searched from then on`))
    .addOption(timeOption('--minor-until <time>', 'until when the subject is a minor'))
    .option('--suspended', 'keep without searching')
    .addOption(new Option('--handling <code>', 'what is to be done at a hit').choices([...HANDLING_CODES, NOTHING]))
    .option('--instructions <text>', 'the same in plain words; must hold no name')
    .option('--contact <text>', 'whom to call at a hit');
}

/** @throws Failure USAGE */
export function lifeOf({ expires, review, minorUntil, suspended, handling, instructions, contact }: LifeOptions): Life {
  if ((handling === undefined || handling === NOTHING) && (instructions ?? contact) !== undefined)
    throw new Failure('invalid-argument', 'USAGE', '--instructions and --contact need --handling with a code.');
  return {
    ...(expires !== undefined && { expireTime: dateOf(expires) }),
    ...(review !== undefined && { reviewTime: dateOf(review) }),
    ...(minorUntil !== undefined && { minorUntil: dateOf(minorUntil) }),
    ...(suspended !== undefined && { suspended }),
    ...(handling !== undefined && {
      handling:
        handling === NOTHING
          ? undefined
          : toWireHandling({ code: handling, instructions: instructions ?? '', contact: contact ?? '' }),
    }),
  };
}

/** Whether a record has the values that the options name. */
export function hasLife(data: Life, wanted: Life): boolean {
  return Object.entries(wanted).every(
    ([name, value]) => JSON.stringify(data[name as keyof Life]) === JSON.stringify(value),
  );
}

/** What is to be done at a hit, in one line. */
export function handlingLine({ code, instructions, contact }: NonNullable<SubjectData['handling']>): string {
  const call = contact === '' ? '' : `call ${contact}`;
  return [nameOf(HandlingCode, code), instructions, call].filter((part) => part !== '').join('; ');
}

function timeOption(flags: string, description: string): Option {
  return new Option(flags, `${description}; "${NEVER}": none`).argParser((text: string): Time => {
    if (text === NEVER) return NEVER;
    const time = new Date(text);
    if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(time.getTime())) return time;
    throw new InvalidArgumentError(`It must be a time such as 2031-03-01T00:00:00Z, or "${NEVER}".`);
  });
}

function dateOf(time: Time): Date | undefined {
  return time === NEVER ? undefined : time;
}
