import { SERVERS } from './support/servers.js';
import { describeZombies } from './zombies.js';

describeZombies(SERVERS.filter(({ name }) => name === 'PostgreSQL'));
