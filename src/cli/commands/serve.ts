import { readConfiguration, type SettingName } from '../../configuration.ts';
import { Failure } from '../../failure.ts';
import { createLogger } from '../../observability/logging.ts';
import { startService } from '../../service.ts';
import { EXIT } from '../exit-codes.ts';
import { reportFailure } from '../failure-output.ts';
import { LastResort } from '../last-resort.ts';

interface ServeOptions {
  readonly dataDir?: string;
  readonly grpcPort?: string;
  readonly httpPort?: string;
  readonly workers?: string;
  readonly demo?: string;
  readonly json?: boolean;
}

/** Runs the service until it is told to stop. */
export async function serve(_args: string[], options: ServeOptions): Promise<number> {
  const given = {
    RIDGEWATCH_DATA_DIR: options.dataDir,
    RIDGEWATCH_GRPC_PORT: options.grpcPort,
    RIDGEWATCH_HTTP_PORT: options.httpPort,
    RIDGEWATCH_WORKERS: options.workers,
    RIDGEWATCH_DEMO: options.demo,
  };
  const overrides = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<
    Record<SettingName, string>
  >;
  // Before the start, so that Ctrl-C during it does not leave a database behind.
  const told = stopSignal();
  let configuration;
  let lastResort;
  let service;
  try {
    configuration = readConfiguration(process.env, overrides);
    const log = createLogger(configuration.logLevel);
    lastResort = new LastResort(log, configuration.drainSeconds * 1000);
    service = await startService(configuration, log, told.signal);
  } catch (error) {
    if (told.signal.aborted && error instanceof Failure && error.reason === 'START_GIVEN_UP') return EXIT.ok;
    reportFailure(error, options.json === true);
    return EXIT.failed;
  }
  // To standard error, so that the log on standard output stays JSON lines.
  if (options.json !== true) {
    process.stderr.write(
      `\nRidgewatch is ready: gRPC on ${configuration.grpcHost}:${service.grpcPort}, health and metrics on http://${configuration.httpHost}:${service.httpPort}.\n` +
        `It holds ${service.subjectCount().toLocaleString('en')} subjects. In another terminal, try:\n\n  npx ridgewatch demo\n  npx ridgewatch status\n\nCtrl-C stops it.\n\n`,
    );
  }
  await Promise.race([told.stop, lastResort.met]);
  await service.stop();
  return lastResort.happened ? EXIT.failed : EXIT.ok;
}

/** Resolves at the first signal to stop; a second one ends the process at once. */
function stopSignal(): { readonly stop: Promise<void>; readonly signal: AbortSignal } {
  const controller = new AbortController();
  const stop = new Promise<void>((resolve) => {
    const onSignal = () => {
      if (controller.signal.aborted) process.exit(EXIT.failed);
      controller.abort();
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
  return { stop, signal: controller.signal };
}
