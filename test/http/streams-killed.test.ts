import { REDIS } from '../processes/support/servers.js';
import { describeKilledStreams } from './streams-killed.js';

describeKilledStreams([REDIS], ['express']);
