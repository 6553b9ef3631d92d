import { describeContenders } from './support/contenders.js';

describeContenders({ processes: 4, callers: 64, rounds: 50 });
