/** Packed fingers in a file: concatenated, each after its length, u32; length 0: no finger. */

export function joinPacked(fingers: readonly Uint8Array[]): Buffer {
  return Buffer.concat(fingers.flatMap((finger) => [Buffer.from(Uint32Array.of(finger.length).buffer), finger]));
}

/** The fingers of a file, views of its bytes. */
export function splitPacked(bytes: Buffer): Uint8Array[] {
  const fingers: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    fingers.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fingers;
}
