import { describeContenders } from './support/contenders.js';

// Every caller of a round is sent before the first is answered: all meet at the store.
describeContenders({ processes: 2, callers: 32, rounds: 3 });
