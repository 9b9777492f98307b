import { makeCredential } from '../../access/new-credential.ts';
import { requireNew } from '../../files/durable-file.ts';
import { createSecret } from '../../security/secret-file.ts';
import { recorded } from '../command-audit.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';
import { withStore, type StoreOptions } from '../store-access.ts';

interface RecoveryOptions extends StoreOptions {
  readonly tokenOut: string;
}

/** Who registers a credential where no administrator can. */
const BY = 'recovery';

/**
 * Gives an enabled client another token, without a service and without an administrator: for a store whose last
 * administrator has lost its credential.
 */
export function recoverClient([clientId]: readonly string[], options: RecoveryOptions): Promise<number> {
  const { tokenOut } = options;
  requireNew(tokenOut);
  return withStore(options, async (access) => {
    const now = new Date();
    const { credential, token = '' } = makeCredential({ kind: 'token' }, undefined, now);
    await recorded(access, 'client recover', { client: clientId }, async () => {
      await access.store.clients.addCredential(clientId, credential, undefined, { by: BY, at: now });
      await createSecret(tokenOut, `${token}\n`, `The token ${tokenOut}`);
    });
    const sentence = `Client ${clientId} has another token, in ${tokenOut}. Services know it within a second.`;
    printResult(options, { client: clientId, token_file: tokenOut }, sentence);
    return EXIT.ok;
  });
}
