import { InvalidArgumentError, Option, type Command } from 'commander';
import { runs } from './shared-options.ts';
import { signInFolderOption } from './sign-in-options.ts';

/** Commands to sign in at an identity provider. */
export function addLoginCommands(program: Command): void {
  runs(
    program
      .command('login')
      .description('sign in at an identity provider by a browser on any device, for calls with --oidc')
      .addOption(issuerOption())
      .requiredOption('--client-id <id>', 'name of this program at the provider')
      .option('--scope <names>', 'what to ask for; without offline_access many providers renew nothing', 'openid')
      .option('--id-token', 'show the ID token to the service, not the access token')
      .option('--ca <file>', "authorities (PEM) of the provider's certificate")
      .addOption(signInFolderOption())
      .option('--json', 'print one JSON document')
      .addHelpText(
        'after',
        '\nExample:\n  $ ridgewatch login --issuer https://id.agency-a.example --client-id ridgewatch-cli\n  $ ridgewatch status --oidc https://id.agency-a.example',
      ),
    async () => (await import('./commands/login.ts')).login,
  );
  runs(
    program
      .command('logout')
      .description('forget a sign-in, and tell the provider')
      .addOption(issuerOption())
      .addOption(signInFolderOption())
      .option('--json', 'print one JSON document'),
    async () => (await import('./commands/login.ts')).logout,
  );
}

function issuerOption(): Option {
  return new Option('--issuer <url>', 'URL of the provider')
    .env('RIDGEWATCH_OIDC_ISSUER')
    .argParser(issuerUrl)
    .makeOptionMandatory();
}

function issuerUrl(text: string): string {
  if (URL.parse(text)?.protocol === 'https:' && /^[\x21-\x7e]{1,256}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be an https URL.');
}
