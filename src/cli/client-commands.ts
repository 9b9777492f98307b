import { InvalidArgumentError, Option, type Command } from 'commander';
import { ROLES } from '../access/principal.ts';
import { wholeNumber } from './numbers.ts';
import { addConnectionOptions, addStoreOptions, collect, PURPOSES, runs } from './shared-options.ts';

/** Commands for the clients that may call the service. */
export function addClientCommands(program: Command): void {
  const client = program.command('client').description('clients that may call the service, and their credentials');
  runs(
    addCredentialOptions(
      addConnectionOptions(client.command('add').argument('<id>', 'id of the client').description('register a client')),
    )
      .requiredOption('--agency <name>', 'agency that it acts for')
      .addOption(
        new Option('--role <role>', 'what it is there for; may be given several times')
          .argParser(collectRole)
          .makeOptionMandatory(),
      )
      .option('--gallery <name>', 'gallery that it may use; may be given several times', collect)
      .option('--all-galleries', 'it may use every gallery, also later ones')
      .addOption(
        new Option('--purpose <why>', 'purpose that it may state; may be given several times').argParser(
          collectPurpose,
        ),
      )
      .option('--person', 'a person, not a machine')
      .option('--clearance <level>', 'highest classification: 0 none to 3 SECRET', wholeNumber(0, 3), 0)
      .option('--calls-per-second <n>', 'calls a second, on average', wholeNumber(1, 10_000))
      .option('--streams <n>', 'streams at a time', wholeNumber(1, 1000))
      .option('--verifications-per-day <n>', 'comparisons with enrolled subjects', wholeNumber(1, 1_000_000))
      .addHelpText(
        'after',
        '\nWithout --certificate, --certificate-name or --oidc-issuer the service makes a token, which is shown once.\n\nExamples:\n  $ ridgewatch client add gate-1 --agency border-a --role checkpoint --gallery watchlist --purpose border-check --certificate gate-1.pem\n  $ ridgewatch client add agency-b --agency agency-b --role contributor --gallery watchlist --token-out agency-b.token\n  $ ridgewatch client add jo --person --agency agency-b --role examiner --gallery watchlist --purpose investigation --oidc-issuer https://id.agency-b.example --oidc-subject 248289761001',
      ),
    async () => (await import('./commands/client.ts')).addClient,
  );
  runs(
    addConnectionOptions(client.command('list').description('list the clients')),
    async () => (await import('./commands/client.ts')).listClients,
  );
  runs(
    addConnectionOptions(
      client.command('show').argument('<id>', 'id of the client').description('show a client and its credentials'),
    ),
    async () => (await import('./commands/client.ts')).showClient,
  );
  runs(
    addCredentialOptions(
      addConnectionOptions(
        client
          .command('rotate')
          .argument('<id>', 'id of the client')
          .description('give a client another credential, and end the earlier ones of its kind'),
      ),
    ).option('--overlap-hours <hours>', 'time for which the earlier ones stay valid', wholeNumber(0, 8760), 0),
    async () => (await import('./commands/client.ts')).rotateCredential,
  );
  addClientChanges(client);
  runs(
    addConnectionOptions(
      client
        .command('disable')
        .argument('<id>', 'id of the client')
        .description('disable a client for ever, and end its calls within a second'),
    )
      .requiredOption('--reason <text>', 'reason, which is recorded')
      .option('--yes', 'do not ask'),
    async () => (await import('./commands/client.ts')).disableClient,
  );
  addClientRecovery(client);
}

/** What may change about a client: its rights, and the validity of a credential. */
function addClientChanges(client: Command): void {
  runs(
    addConnectionOptions(
      client
        .command('update')
        .argument('<id>', 'id of the client')
        .description('change what a client may do; what is not named stays'),
    )
      .addOption(
        new Option('--role <role>', 'its roles from now on; may be given several times').argParser(collectRole),
      )
      .addOption(
        new Option('--gallery <name>', 'its galleries from now on; may be given several times')
          .argParser(collect)
          .conflicts(['allGalleries', 'galleries']),
      )
      .addOption(new Option('--all-galleries', 'it may use every gallery, also later ones').conflicts('galleries'))
      .option('--no-galleries', 'it may use no gallery')
      .addOption(
        new Option('--purpose <why>', 'its purposes from now on; may be given several times')
          .argParser(collectPurpose)
          .conflicts('purposes'),
      )
      .option('--no-purposes', 'it may state no purpose')
      .option('--clearance <level>', 'highest classification: 0 none to 3 SECRET', wholeNumber(0, 3))
      .option('--calls-per-second <n>', "calls a second, on average; 0: the service's default", wholeNumber(0, 10_000))
      .option('--streams <n>', "streams at a time; 0: the service's default", wholeNumber(0, 1000))
      .option(
        '--verifications-per-day <n>',
        "comparisons with enrolled subjects; 0: the service's default",
        wholeNumber(0, 1_000_000),
      )
      .option('--etag <etag>', 'refuse if the client is not what show --json said; default: as it is now')
      .addHelpText(
        'after',
        '\nA change takes effect within a second, also on streams that are open. An administrator cannot change itself.\n\nExample:\n  $ ridgewatch client update gate-1 --gallery watchlist --gallery wanted --clearance 1',
      ),
    async () => (await import('./commands/client-changes.ts')).updateClient,
  );
  runs(
    addConnectionOptions(
      client
        .command('revoke')
        .argument('<id>', 'id of the client')
        .argument('<credential>', 'id of the credential, see show')
        .description('refuse a credential for ever, and end its calls within a second'),
    ).option('--yes', 'do not ask'),
    async () => (await import('./commands/client-changes.ts')).revokeCredential,
  );
}

/** For a store whose administrators have lost their credentials. */
function addClientRecovery(client: Command): void {
  runs(
    addStoreOptions(
      client
        .command('recover')
        .argument('<id>', 'id of an enabled client; local is made anew where needed')
        .description('give a client another token, working on the store itself: if no administrator can any more'),
    ).requiredOption('--token-out <file>', 'new file for the token'),
    async () => (await import('./commands/client-recovery.ts')).recoverClient,
  );
}

function addCredentialOptions(command: Command): Command {
  return command
    .addOption(new Option('--certificate <file>', 'its certificate (PEM)').conflicts('certificateName'))
    .addOption(
      new Option('--certificate-name <name>', 'name in its certificates: URI:spiffe://… or DNS:…').conflicts(
        'tokenOut',
      ),
    )
    .option('--issuer <file>', 'certificate (PEM) of their issuer, for --certificate-name')
    .addOption(
      new Option('--token-out <file>', 'write the token to a new file instead of showing it').conflicts('certificate'),
    )
    .addOption(
      new Option('--oidc-issuer <url>', 'a person who signs in: URL of the identity provider').conflicts([
        'tokenOut',
        'certificate',
        'certificateName',
      ]),
    )
    .option('--oidc-subject <id>', 'id of the person at the provider (sub), for --oidc-issuer')
    .option('--days <n>', 'days until the credential expires; a token: 365', wholeNumber(1, 3650));
}

function collectRole(role: string, before: readonly string[] = []): string[] {
  if ((ROLES as readonly string[]).includes(role)) return [...before, role];
  throw new InvalidArgumentError(`The roles are ${ROLES.join(', ')}.`);
}

function collectPurpose(purpose: string, before: readonly string[] = []): string[] {
  if (Object.hasOwn(PURPOSES, purpose)) return [...before, purpose];
  throw new InvalidArgumentError(`The purposes are ${Object.keys(PURPOSES).join(', ')}.`);
}
