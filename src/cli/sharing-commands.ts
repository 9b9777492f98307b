import type { Command } from 'commander';
import { addCaseCommands } from './case-commands.ts';
import { decimalNumber, wholeNumber } from './numbers.ts';
import { addConnectionOptions, runs } from './shared-options.ts';

/** Commands for what agencies tell each other, and for cases. */
export function addSharingCommands(program: Command): void {
  addCaseCommands(program);
  const hits = program.command('hits').description("hits on the records of the caller's agency");
  runs(
    addConnectionOptions(
      hits.command('watch').description('print the hits after the acknowledged one, and each new one, until Ctrl-C'),
    )
      .option(
        '--after <position>',
        'start after this position instead; 0: with the first hit',
        wholeNumber(0, 1e15 - 1),
      )
      .option('--ack', 'acknowledge what was printed')
      .option('--once', 'end when there are no more hits for the moment')
      .addHelpText(
        'after',
        '\nWith --json each hit is a line. A connection that breaks is made again for as long as --timeout says.\n\nExamples:\n  $ ridgewatch hits watch --token-file agency-b.token\n  $ ridgewatch hits watch --once --ack --json >> hits.jsonl',
      ),
    async () => (await import('./commands/hits.ts')).watchHits,
  );
  runs(
    addConnectionOptions(
      hits
        .command('ack')
        .argument('<position>', 'position of the last hit that was dealt with', wholeNumber(0, 1e15 - 1))
        .description('acknowledge hits: they are not printed again'),
    ),
    async () => (await import('./commands/hits.ts')).acknowledgeHits,
  );
  runs(
    addConnectionOptions(
      hits
        .command('forward')
        .argument('<url>', 'receiver, https')
        .description('send the hits after the acknowledged one, and each new one, to a webhook, until Ctrl-C'),
    )
      .requiredOption('--signing-key <file>', 'private key (Ed25519, PEM) that signs; made if there is none')
      .option('--receiver-ca <file>', 'authorities (PEM) that may certify the receiver; default: the public ones')
      .option('--private-network', 'the receiver may be in a private network')
      .option('--give-up <hours>', 'end when nothing was delivered for so long', decimalNumber(0.0001, 720), 24)
      .option('--once', 'end when there are no more hits for the moment')
      .addHelpText(
        'after',
        '\nOne CloudEvent (JSON) a request, signed as Standard Webhooks (v1a); what the receiver has answered with 2xx is acknowledged.\n\nExample:\n  $ ridgewatch hits forward https://agency-b.example/hits --token-file agency-b.token --signing-key webhook.pem',
      ),
    async () => (await import('./commands/hit-forwarding.ts')).forwardHits,
  );
  runs(
    hits
      .command('webhook-key')
      .argument('<file>', 'private key (PEM) of `hits forward`; made if there is none')
      .description('print the public key that receivers check signatures with')
      .option('--json', 'print one JSON document; failures go to standard error, as JSON too'),
    async () => (await import('./commands/hit-forwarding.ts')).printWebhookKey,
  );
}
