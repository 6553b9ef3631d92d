import { describeStorm } from './support/storm.js';

describeStorm({ messages: 120, kills: 2 });
