import { describeRaces } from './support/races.js';

describeRaces({ processes: 2, callers: 64, rounds: 2 });
