import { SERVERS } from '../processes/support/servers.js';
import { describeKilled } from './killed.js';

describeKilled(SERVERS.filter((server) => server.name !== 'Redis'));
