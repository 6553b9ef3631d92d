import Sequencer from '@jest/test-sequencer';
import { knownDurations } from './durations.mjs';

/** The longest first, so that no long one is left when all others have ended. */
export default class extends Sequencer {
  async sort(tests) {
    // It looks up what each took the last time, on this machine.
    const known = await super.sort(tests);
    const committed = knownDurations();
    const duration = (test) => test.duration ?? committed(test.path);
    return [...known].sort((a, b) => duration(b) - duration(a));
  }
}
