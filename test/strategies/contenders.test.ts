import { SQL_SERVERS } from '../processes/support/servers.js';
import { describeKilledContenders } from './killed-contenders.js';
import { describeContenders } from './support/contenders.js';

const servers = SQL_SERVERS.filter(({ name }) => name === 'PostgreSQL');

// All processes are at the row at the same moment: more rounds show nothing else.
describeContenders({ servers, processes: 2, callers: 32, rounds: 2 });
describeKilledContenders(servers);
