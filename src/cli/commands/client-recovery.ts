import { LOCAL, LOCAL_CLIENT } from '../../access/local-client.ts';
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
 * administrator has lost its credential. The local client is made anew where what is stored of it was changed in the
 * database, or it was disabled and no administrator is left: every role, no earlier credential.
 */
export function recoverClient([clientId]: readonly string[], options: RecoveryOptions): Promise<number> {
  const { tokenOut } = options;
  requireNew(tokenOut);
  return withStore(options, async (access) => {
    const now = new Date();
    const { credential, token = '' } = makeCredential({ kind: 'token' }, undefined, now);
    await recorded(access, { command: 'client recover', facts: { client: clientId } }, async () => {
      const substitute = clientId === LOCAL_CLIENT ? LOCAL : undefined;
      await access.store.clients.recoverClient(clientId, substitute, credential, { by: BY, at: now });
      await createSecret(tokenOut, `${token}\n`, `The token ${tokenOut}`);
    });
    const sentence = `Client ${clientId} has another token, in ${tokenOut}. Services know it within a second.`;
    printResult(options, { client: clientId, token_file: tokenOut }, sentence);
    return EXIT.ok;
  });
}
