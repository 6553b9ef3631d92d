import { SABOTAGES_OF_CLAIMS } from './claims.js';
import { SABOTAGES_OF_CLOCKS } from './clocks.js';
import { SABOTAGES_OF_CONTENTS } from './contents.js';
import { SABOTAGES_OF_LIMITS } from './limits.js';
import { SABOTAGES_OF_OWNERS } from './owners.js';
import { SABOTAGES_OF_RETRIES } from './retries.js';
import type { NamedSabotage } from './sabotage.js';
import { SABOTAGES_OF_SETTLED_RECORDS } from './settled-records.js';
import { SABOTAGES_OF_STORIES } from './stories.js';

export { type Sabotage, verbsOf } from './sabotage.js';

/** Every way to break a store that came to mind, or was seen in one. */
export const SABOTAGES: readonly NamedSabotage[] = [
  ...SABOTAGES_OF_CLAIMS,
  ...SABOTAGES_OF_OWNERS,
  ...SABOTAGES_OF_SETTLED_RECORDS,
  ...SABOTAGES_OF_CLOCKS,
  ...SABOTAGES_OF_RETRIES,
  ...SABOTAGES_OF_CONTENTS,
  ...SABOTAGES_OF_LIMITS,
  ...SABOTAGES_OF_STORIES,
];
