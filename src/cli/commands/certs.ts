import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createFile, newFileRefused, replaceFile, requireNew } from '../../files/durable-file.ts';
import { makeTrialCertificates, type CertificateAndKey } from '../../security/trial-certificates.ts';
import { EXIT } from '../exit-codes.ts';
import { printResult } from '../output.ts';

interface CertsOptions {
  readonly host?: readonly string[];
  readonly client?: readonly string[];
  readonly days: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

const DEFAULT_CLIENT = 'client';

/** Writes certificates for trying TLS, and prints what to do with them. */
export async function makeCertificates([folder]: readonly string[], options: CertsOptions): Promise<number> {
  const place = resolve(folder);
  const clients = options.client ?? [DEFAULT_CLIENT];
  const file = (name: string, ending: 'pem' | 'key') => join(place, `${name}.${ending}`);
  const names = ['ca', 'server', ...clients.map(nameOf)];
  if (options.force !== true)
    for (const name of names) for (const ending of ['pem', 'key'] as const) requireNew(file(name, ending));
  const hosts = options.host ?? [];
  const made = await makeTrialCertificates({ hosts, clients, days: options.days, now: new Date() });
  await mkdir(place, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw newFileRefused(place, cause);
  });
  const write = async (name: string, { cert, key }: CertificateAndKey) => {
    // The key first: a service that reads the certificate again finds it.
    for (const [path, content] of [
      [file(name, 'key'), key],
      [file(name, 'pem'), cert],
    ] as const)
      if (options.force === true) await replaceFile(path, content, 0o600);
      else await createFile(path, (draft) => draft.writeFile(content));
  };
  await write('ca', made.authority);
  await write('server', made.server);
  for (const [client, pair] of made.clients) await write(nameOf(client), pair);
  const settings = {
    RIDGEWATCH_TLS_CERT: file('server', 'pem'),
    RIDGEWATCH_TLS_KEY: file('server', 'key'),
    RIDGEWATCH_TLS_CLIENT_CA: file('ca', 'pem'),
  };
  const listed = [...made.clients.keys()].map((client) => ({
    client,
    certificate: file(nameOf(client), 'pem'),
    options: [
      '--tls-ca',
      file('ca', 'pem'),
      '--tls-cert',
      file(nameOf(client), 'pem'),
      '--tls-key',
      file(nameOf(client), 'key'),
    ],
  }));
  const notAfter = made.notAfter.toISOString();
  printResult(
    options,
    { for_trying_only: true, not_after: notAfter, settings, clients: listed },
    [
      'FOR TRYING ONLY, NOT FOR REAL PEOPLE: the key of the authority lies beside the certificates, unencrypted.',
      `Everything ends on ${notAfter.slice(0, 10)}.`,
      '',
      'Settings of the service:',
      ...Object.entries(settings).map(([name, value]) => `  export ${name}=${quoted(value)}`),
      ...listed.flatMap((one) => [
        '',
        `To register ${one.client} with the running service, and the options of its calls:`,
        `  ridgewatch client add ${one.client} --agency trial --role checkpoint --all-galleries --purpose test --certificate ${quoted(one.certificate)} ${shown(one.options)}`,
        `  ${shown(one.options)}`,
      ]),
    ].join('\n'),
  );
  return EXIT.ok;
}

function nameOf(client: string): string {
  return `client-${client}`;
}

function shown(options: readonly string[]): string {
  return options.map(quoted).join(' ');
}

/** As a word for a shell. */
function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
