import { describeStorm } from './support/storm.js';

describeStorm({ messages: 60, kills: 1 });
