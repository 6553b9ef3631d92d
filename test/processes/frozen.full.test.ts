import { describeFrozen } from './frozen.js';

// A hundred calls that are answered, and a hundred whose server is killed in between.
describeFrozen({ rounds: 10, calls: 10 });
