import { describeKilled } from './support/killed.js';
import { SHOPS } from './support/servers.js';

describeKilled(SHOPS);
