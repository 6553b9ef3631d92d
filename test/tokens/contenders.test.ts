import { SERVERS } from '../processes/support/servers.js';
import { describeContenders } from './support/contenders.js';

const servers = SERVERS.filter(({ name }) => name !== 'MariaDB');

// Every caller of a round is sent before the first is answered: all meet at the store.
describeContenders({ servers, processes: 2, callers: 32, rounds: 2 });
