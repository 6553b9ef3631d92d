import type { Scenario } from '../scenario.js';
import { comments } from './comments.js';
import { goods } from './goods.js';
import { payments } from './payments.js';
import { transfers } from './transfers.js';
import { votes } from './votes.js';
import { work } from './work.js';

/** Everything that the demo lets happen. */
export const SCENARIOS: readonly Scenario[] = [
  ...payments,
  ...transfers,
  ...goods,
  ...comments,
  ...votes,
  ...work,
].sort((one, other) => one.id.localeCompare(other.id, 'en', { numeric: true }));
