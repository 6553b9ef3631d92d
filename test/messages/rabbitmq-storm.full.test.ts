import { describeStorm } from './support/storm.js';

describeStorm('RabbitMQ (Nest)');
