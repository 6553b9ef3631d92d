import { SERVERS } from '../processes/support/servers.js';
import { PLATFORMS } from '../support/http.js';
import { describeKilledStreams } from './streams-killed.js';

describeKilledStreams(SERVERS, PLATFORMS);
