import { describeStorm } from './support/storm.js';

describeStorm('NATS');
