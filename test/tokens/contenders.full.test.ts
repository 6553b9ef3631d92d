import { SERVERS } from '../processes/support/servers.js';
import { describeContenders } from './support/contenders.js';

describeContenders({ servers: SERVERS, processes: 4, callers: 64, rounds: 50 });
