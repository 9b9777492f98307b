/** A service as a process of its own, to be killed. Prints its port for gRPC when it is ready. */
import { readConfiguration } from '../../src/configuration.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { startService } from '../../src/service/service.ts';

const [databaseUrl = '', dataDir = ''] = process.argv.slice(2);
const settings = {
  DATABASE_URL: databaseUrl,
  RIDGEWATCH_DATA_DIR: dataDir,
  RIDGEWATCH_GRPC_PORT: '0',
  RIDGEWATCH_HTTP_PORT: '0',
  RIDGEWATCH_WORKERS: '1',
};
const service = await startService(readConfiguration({}, settings), createLogger('fatal'));
process.stdout.write(`${service.grpcPort}\n`);
