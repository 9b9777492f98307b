import { readFileSync } from 'node:fs';
import { ChannelCredentials } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';

export interface ClientTlsSettings {
  /** File with the authorities that the server's certificate must come from; without it the connection is plain. */
  readonly tlsCa: string | undefined;
  /** Files with the client's own certificate and key, for mutual TLS. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
}

/**
 * How a client proves who it is, and whom it trusts.
 * @throws Failure TLS_INVALID: one sentence
 */
export function createClientCredentials({ tlsCa, tlsCert, tlsKey }: ClientTlsSettings): ChannelCredentials {
  if (tlsCa === undefined) {
    if (tlsCert !== undefined || tlsKey !== undefined)
      throw invalid('A client certificate needs the authority of the server too.');
    return ChannelCredentials.createInsecure();
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw invalid('A client certificate and its key go together.');
  return ChannelCredentials.createSsl(
    read(tlsCa),
    tlsKey === undefined ? null : read(tlsKey),
    tlsCert === undefined ? null : read(tlsCert),
  );
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw invalid(`The file ${file} cannot be read.`);
  }
}

function invalid(sentence: string): Failure {
  return new Failure('invalid-argument', 'TLS_INVALID', sentence);
}
