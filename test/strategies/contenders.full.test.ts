import { SQL_SERVERS } from '../processes/support/servers.js';
import { describeKilledContenders } from './killed-contenders.js';
import { describeContenders } from './support/contenders.js';

describeContenders({ servers: SQL_SERVERS, processes: 4, callers: 64, rounds: 50 });
describeKilledContenders(SQL_SERVERS);
