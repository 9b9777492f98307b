import { Failure } from '../../failure.ts';
import { createLogger, type Logger } from '../../observability/logging.ts';
import { startService, type Service } from '../../service/service.ts';
import { EXIT } from '../exit-codes.ts';
import { reportFailure } from '../failure-output.ts';
import { givenSettings } from '../given-settings.ts';
import { LastResort } from '../last-resort.ts';
import { launch } from '../launch.ts';
import { exitCodeOf, StopSignals } from '../stop-signals.ts';

interface ServeOptions {
  readonly dataDir?: string;
  readonly grpcPort?: string;
  readonly httpPort?: string;
  readonly workers?: string;
  readonly demo?: string;
  readonly json?: boolean;
}

/** Runs the service until a signal stops it. */
export async function serve(_args: string[], options: ServeOptions): Promise<number> {
  const { dataDir, grpcPort, httpPort, workers, demo } = options;
  // Before the start: Ctrl-C during the start must not leave a database running.
  let log: Logger | undefined;
  let service: Service | undefined;
  const signals = new StopSignals({
    onMeaningless: (signal) => log?.info({ signal }, 'this signal changes nothing'),
    onHangup: () => {
      log?.info({ signal: 'SIGHUP' }, 'told to read the files of certificates again');
      void service?.reload();
    },
  });
  let configuration;
  let lastResort;
  try {
    configuration = givenSettings({ dataDir, grpcPort, httpPort, workers, demo });
    log = createLogger(configuration.logLevel);
    lastResort = new LastResort(log, configuration.drainSeconds * 1000);
    sayWhatIsIgnored(log);
    service = await startService(configuration, log, signals.asked);
  } catch (error) {
    const isGivenUp = error instanceof Failure && error.reason === 'START_GIVEN_UP';
    if (signals.asked.aborted && isGivenUp) return EXIT.ok;
    reportFailure(error, options.json === true);
    return EXIT.failed;
  }
  // To standard error: the log on standard output stays JSON lines.
  if (options.json !== true) {
    process.stderr.write(
      `\nRidgewatch is ready: gRPC on ${configuration.grpcHost}:${service.grpcPort}, health and metrics on ${service.isHttpSecure ? 'https' : 'http'}://${configuration.httpHost}:${service.httpPort}.\n` +
        `It holds ${service.subjectCount().toLocaleString('en')} subjects. In another terminal, try:\n\n  npx ridgewatch demo\n  npx ridgewatch status\n\nCtrl-C stops it.\n\n`,
    );
  }
  await Promise.race([aborted(signals.asked), lastResort.met]);
  if (signals.asked.aborted) log.info({ signal: signals.asked.reason as NodeJS.Signals }, 'told to stop');
  signals.hurried.addEventListener('abort', () => service.hurry(), { once: true });
  await service.stop();
  if (signals.hurried.aborted) return exitCodeOf(signals.hurried.reason as NodeJS.Signals);
  return lastResort.happened ? EXIT.failed : EXIT.ok;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    // The signal listener does not keep the process alive; the server does.
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Operators who set one of these variables expect an effect. */
function sayWhatIsIgnored(log: Logger): void {
  if (launch.ignored.length === 0) return;
  log.warn({ variables: launch.ignored }, 'these variables of the environment are not obeyed');
}
