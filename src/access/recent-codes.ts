/**
 * Codes of recent probes in one block of memory that grows to a limit; beyond it the oldest is overwritten. An entry has
 * the code, a digest that tells equal probes, the trait, the call it came with, and the time.
 */
import { CODE_WORDS } from './likeness-code.ts';

const INITIAL = 64;
/** Words compared first: the probes of two people nearly always differ too much in them. */
const FIRST_WORDS = CODE_WORDS / 2;
/** Bits above the expected half of what may differ at which the rest is not compared: three deviations. */
const SLACK_BITS = 23;
/** Bytes of an entry. */
export const ENTRY_BYTES = 4 * CODE_WORDS + 8 + 8 + 4 + 2;

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
   * Calls with a probe near to this one, other than the very same: repeating a probe tells nothing new.
   * @param maxBits - bits of a code that may differ
   * @param calls - takes the numbers of the calls
   */
  near(probe: CodedProbe, maxBits: number, calls: Set<number>): void {
    const end = this.#first + this.#count;
    this.#nearWithin(this.#first, Math.min(end, this.room), probe, maxBits, calls);
    this.#nearWithin(0, end - this.room, probe, maxBits, calls);
  }

  #nearWithin(
    from: number,
    to: number,
    { trait, code, digest }: CodedProbe,
    maxBits: number,
    calls: Set<number>,
  ): void {
    const [words, traits, digests] = [this.#codes, this.#traits, this.#digests];
    const maxFirst = maxBits / 2 + SLACK_BITS;
    for (let entry = from; entry < to; entry++) {
      if (traits[entry] !== trait || digests[entry] === digest) continue;
      const at = entry * CODE_WORDS;
      let bits = 0;
      for (let w = 0; w < FIRST_WORDS; w++) bits += onesIn(words[at + w] ^ code[w]);
      if (bits > maxFirst) continue;
      for (let w = FIRST_WORDS; w < CODE_WORDS; w++) bits += onesIn(words[at + w] ^ code[w]);
      if (bits <= maxBits) calls.add(this.#calls[entry]);
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

/** Bits that are set (Hacker's Delight, 2nd edition, section 5-1). */
function onesIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  bits = (bits + (bits >>> 4)) & 0x0f0f0f0f;
  return Math.imul(bits, 0x01010101) >>> 24;
}
