import { describeCrashes } from './crashes.js';
import { SERVERS } from './support/servers.js';

describeCrashes(SERVERS);
