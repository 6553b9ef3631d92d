import { postgresUrl, startPostgres } from '../support/servers/postgres.js';
import { describeWorker } from './support/worker.js';

describeWorker({ name: 'the embedded database', env: () => ({}) });

describeWorker({
  name: 'PostgreSQL',
  start: startPostgres,
  env: (port) => ({ DATABASE_URL: postgresUrl(port) }),
});
