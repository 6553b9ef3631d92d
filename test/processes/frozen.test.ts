import { describeFrozen } from './frozen.js';

describeFrozen({ rounds: 1, calls: 5 });
