import { describeRaces } from './support/races.js';

describeRaces({ processes: 4, callers: 64, rounds: 50 });
