/**
 * Codes of recent probes in one block of memory that grows to a limit; beyond it the oldest is overwritten. An entry has
 * the code, a digest that tells equal probes, the trait, the call it came with, and the time.
 */
import { CODE_WORDS } from './likeness-code.ts';
import { BATCH_CODES, LikenessScan } from './likeness-scan.ts';

const INITIAL = 64;
/**
 * Probes of two people nearly always differ too much in the first half of their codes, and the rest is not compared. It
 * is when the first half differs by at most this many bits more than half of what may differ: three deviations.
 */
const SLACK_BITS = 23;
/** Bytes of an entry. */
export const ENTRY_BYTES = 4 * CODE_WORDS + 8 + 8 + 4 + 2;

/** Made with the first use. */
let shared: LikenessScan | undefined;

/** A coded probe. */
export interface CodedProbe {
  /** Only probes of one trait are compared: a face model, or fingers. Numbered by the window. */
  readonly trait: number;
  readonly code: Uint32Array;
  readonly digest: number;
}

export class RecentCodes {
  readonly #limit: number;
  #codes = new Uint32Array(INITIAL * CODE_WORDS);
  #digests = new Float64Array(INITIAL);
  #times = new Float64Array(INITIAL);
  #calls = new Uint32Array(INITIAL);
  #traits = new Uint16Array(INITIAL);
  /** Entries are from `#first` on, `#count` of them, around the end. */
  #first = 0;
  #count = 0;

  /** @param limit - most entries: INITIAL times a power of two */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Entries that there is room for. */
  get room(): number {
    return this.#times.length;
  }

  /** @param atMs - never less than that of an earlier entry */
  add({ trait, code, digest }: CodedProbe, call: number, atMs: number): void {
    if (this.#count === this.room && this.room < this.#limit) this.#grow();
    if (this.#count === this.room) this.#dropFirst();
    const at = (this.#first + this.#count++) % this.room;
    this.#codes.set(code, at * CODE_WORDS);
    this.#digests[at] = digest;
    this.#times[at] = atMs;
    this.#calls[at] = call;
    this.#traits[at] = trait;
  }

  /** Forgets entries before a time. */
  forgetBefore(ms: number): void {
    while (this.#count > 0 && this.#times[this.#first] < ms) this.#dropFirst();
  }

  /**
   * Calls with a probe near to one of these, other than the very same: repeating a probe tells nothing new.
   * @param maxBits - bits of a code that may differ
   * @param calls - for each probe, takes the numbers of the calls
   */
  near(probes: readonly CodedProbe[], maxBits: number, calls: readonly Set<number>[]): void {
    const end = this.#first + this.#count;
    const scan = (shared ??= new LikenessScan());
    this.#nearWithin(scan, this.#first, Math.min(end, this.room), probes, maxBits, calls);
    this.#nearWithin(scan, 0, end - this.room, probes, maxBits, calls);
    scan.wipe();
  }

  #nearWithin(
    scan: LikenessScan,
    from: number,
    to: number,
    probes: readonly CodedProbe[],
    maxBits: number,
    calls: readonly Set<number>[],
  ): void {
    const maxFirst = Math.floor(maxBits / 2) + SLACK_BITS;
    for (let at = from; at < to; at += BATCH_CODES) {
      scan.load(this.#codes.subarray(at * CODE_WORDS, Math.min(to, at + BATCH_CODES) * CODE_WORDS));
      for (const [p, { trait, digest, code }] of probes.entries())
        for (const number of scan.near(code, maxFirst, maxBits)) {
          const entry = at + number;
          if (this.#traits[entry] === trait && this.#digests[entry] !== digest) calls[p].add(this.#calls[entry]);
        }
    }
  }

  #dropFirst(): void {
    // What is forgotten does not stay in memory.
    this.#codes.fill(0, this.#first * CODE_WORDS, (this.#first + 1) * CODE_WORDS);
    this.#digests[this.#first] = 0;
    this.#first = (this.#first + 1) % this.room;
    this.#count--;
  }

  #grow(): void {
    const size = 2 * this.room;
    const [first, old] = [this.#first, this.room];
    const unrolled = <A extends Uint32Array | Float64Array | Uint16Array>(from: A, to: A, each: number): A => {
      to.set(from.subarray(first * each, old * each));
      to.set(from.subarray(0, first * each), (old - first) * each);
      from.fill(0);
      return to;
    };
    this.#codes = unrolled(this.#codes, new Uint32Array(size * CODE_WORDS), CODE_WORDS);
    this.#digests = unrolled(this.#digests, new Float64Array(size), 1);
    this.#times = unrolled(this.#times, new Float64Array(size), 1);
    this.#calls = unrolled(this.#calls, new Uint32Array(size), 1);
    this.#traits = unrolled(this.#traits, new Uint16Array(size), 1);
    this.#first = 0;
  }
}
