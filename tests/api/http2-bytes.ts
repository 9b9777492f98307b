/** HTTP/2 frames as bytes, for what clients never send. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** @param stream - 1 for frames of a call, 0 for frames of the connection */
export function frameOf(type: number, stream: number, bytes: Uint8Array, flags = type === 1 ? 4 : 0): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

/** The headers that begin a call, in HPACK. */
export function headersOf(path: string): Buffer {
  const literal = (name: string, value: string) =>
    Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat([
    literal(':method', 'POST'),
    literal(':scheme', 'http'),
    literal(':path', path),
    literal(':authority', 'x'),
    literal('content-type', 'application/grpc'),
  ]);
}
