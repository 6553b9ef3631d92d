import { SERVERS } from './support/servers.js';
import { describeSurvival } from './survival.js';

describeSurvival(SERVERS.filter(({ name }) => name !== 'MariaDB'));
