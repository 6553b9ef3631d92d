import { describeStorm } from './support/storm.js';

describeStorm({ messages: 200, kills: 2 });
