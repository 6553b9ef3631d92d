import type { Fault } from '../fault.js';
import { CONTENT_FAULTS } from './content.js';
import { ENGINE_FAULTS } from './engine.js';
import { JOB_FAULTS } from './jobs.js';
import { KEY_FAULTS } from './keys.js';
import { LIMITS_FAULTS } from './limits.js';
import { LOCK_FAULTS } from './locks.js';
import { OPERATOR_FAULTS } from './operators.js';
import { OUTAGE_FAULTS } from './outages.js';
import { PILES_FAULTS } from './piles.js';
import { PROTECTION_FAULTS } from './protection.js';
import { REFUSAL_FAULTS } from './refusals.js';
import { REPLY_FAULTS } from './replies.js';
import { EXECUTOR_FAULTS } from './executors.js';
import { SQL_FAULTS } from './sql.js';
import { STORE_FAULTS } from './stores.js';
import { STRATEGY_FAULTS } from './strategies.js';
import { SURROUNDINGS_FAULTS } from './surroundings.js';
import { TRANSACTION_FAULTS } from './transactions.js';
import { TRANSPORT_FAULTS } from './transports.js';
import { VALUE_FAULTS } from './values.js';

export const FAULTS: readonly Fault[] = [
  ...ENGINE_FAULTS,
  ...KEY_FAULTS,
  ...JOB_FAULTS,
  ...TRANSPORT_FAULTS,
  ...REFUSAL_FAULTS,
  ...REPLY_FAULTS,
  ...PROTECTION_FAULTS,
  ...STRATEGY_FAULTS,
  ...STORE_FAULTS,
  ...SQL_FAULTS,
  ...EXECUTOR_FAULTS,
  ...TRANSACTION_FAULTS,
  ...CONTENT_FAULTS,
  ...SURROUNDINGS_FAULTS,
  ...PILES_FAULTS,
  ...LIMITS_FAULTS,
  ...LOCK_FAULTS,
  ...OUTAGE_FAULTS,
  ...OPERATOR_FAULTS,
  ...VALUE_FAULTS,
];
