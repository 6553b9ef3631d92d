import type { Scenario } from '../scenario.js';
import { comments } from './comments.js';
import { coupons } from './coupons.js';
import { goods } from './goods.js';
import { imports } from './imports.js';
import { messages } from './messages.js';
import { orders } from './orders.js';
import { payments } from './payments.js';
import { reports } from './reports.js';
import { tokens } from './tokens.js';
import { transfers } from './transfers.js';
import { versions } from './versions.js';
import { votes } from './votes.js';
import { work } from './work.js';

/** Everything that the demo lets happen. */
export const SCENARIOS: readonly Scenario[] = [
  ...tokens,
  ...orders,
  ...payments,
  ...transfers,
  ...goods,
  ...versions,
  ...coupons,
  ...comments,
  ...votes,
  ...work,
  ...messages,
  ...imports,
  ...reports,
].sort((one, other) => one.id.localeCompare(other.id, 'en', { numeric: true }));
