import { describeKilled } from './support/killed.js';
import { OTHER_SHOPS } from './support/servers.js';

describeKilled(OTHER_SHOPS);
