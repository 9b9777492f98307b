import { isIP } from 'node:net';
import { InvalidArgumentError, type Command } from 'commander';
import { wholeNumber } from './numbers.ts';
import { runs } from './shared-options.ts';

/** A name of DNS: labels of letters, digits and hyphens. */
const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
/** A client's id. It becomes a part of a file name, and is no option. */
const CLIENT = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;
/** Options of one kind. */
const MOST = 100;

/** Commands that make certificates. */
export function addCertificateCommands(program: Command): void {
  const certs = program.command('certs').description('certificates for trying TLS');
  runs(
    certs
      .command('dev')
      .argument('<dir>', 'folder for the files')
      .description('make a throw-away authority with certificates for the service and for clients; for trying only')
      .option(
        '--host <name>',
        'name or address of the service; may be given several times',
        collectMatching(isHost, 'a name of DNS or an IP address'),
      )
      .option(
        '--client <id>',
        'client to make a certificate for; may be given several times',
        collectMatching((text) => CLIENT.test(text), '1 to 64 letters, digits, dots, hyphens and underscores'),
      )
      .option('--days <n>', 'days until the certificates end', wholeNumber(1, 365), 30)
      .option('--force', 'overwrite files')
      .option('--json', 'print one JSON document')
      .addHelpText(
        'after',
        '\nThe key of the authority lies beside the certificates. In operation they come from an authority of your own.\n\nExample:\n  $ ridgewatch certs dev certificates --host matcher.example --client gate-1 --client gate-2',
      ),
    async () => (await import('./commands/certs.ts')).makeCertificates,
  );
}

function isHost(text: string): boolean {
  // The zone of a local address does not belong into a certificate.
  return (isIP(text) !== 0 && !text.includes('%')) || HOST.test(text);
}

function collectMatching(isGood: (text: string) => boolean, wanted: string) {
  return (text: string, before: readonly string[] = []): readonly string[] => {
    if (!isGood(text)) throw new InvalidArgumentError(`It must be ${wanted}.`);
    if (before.length >= MOST) throw new InvalidArgumentError(`There are at most ${MOST}.`);
    return before.includes(text) ? before : [...before, text];
  };
}
