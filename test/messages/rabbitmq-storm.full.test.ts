import { describeStorm } from './support/storm.js';

describeStorm({ messages: 1_000, kills: 6 });
