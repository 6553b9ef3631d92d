import { describeCrashes } from './crashes.js';
import { SERVERS, SQL_LAYERS } from './support/servers.js';

describeCrashes([...SERVERS, ...SQL_LAYERS]);
