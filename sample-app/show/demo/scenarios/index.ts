import type { Scenario } from '../scenario.js';
import { comments } from './comments.js';
import { coupons } from './coupons.js';
import { goods } from './goods.js';
import { importsWith } from './imports.js';
import { messages } from './messages.js';
import { orders } from './orders.js';
import { payments } from './payments.js';
import { reports } from './reports.js';
import { tokens } from './tokens.js';
import { transfers } from './transfers.js';
import { versions } from './versions.js';
import { votes } from './votes.js';
import { work } from './work.js';

/** Everything that the demo lets happen to a shop with this environment. */
export function scenariosOf({ REDIS_URL }: NodeJS.ProcessEnv): readonly Scenario[] {
  const all = [
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
    importsWith(REDIS_URL),
    ...reports,
  ];
  return all.sort((one, other) => one.id.localeCompare(other.id, 'en', { numeric: true }));
}
