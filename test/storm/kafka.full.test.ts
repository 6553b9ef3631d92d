import { describeStorm } from '../messages/support/storm.js';

describeStorm('Kafka');
