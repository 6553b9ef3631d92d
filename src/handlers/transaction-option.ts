import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { OperationRequest } from '../engine/operation.js';
import type { IdempotencyStore } from '../engine/store.js';
import { isTransactional } from '../engine/transaction.js';
import { DEFAULTS, type IdempotentOptions } from '../options/idempotency.options.js';

/**
 * What `transaction` asks of the store.
 *
 * @throws {@link IdempotencyConfigurationError} when the store cannot, or another option would
 *   have the handler run without a transaction
 */
export function resolveTransaction(
  { transaction = DEFAULTS.transaction, onStoreFailure }: IdempotentOptions,
  store: IdempotencyStore,
): OperationRequest['transaction'] {
  if (transaction === false) return undefined;
  if (transaction !== true && (typeof transaction !== 'string' || transaction === '')) {
    throw wrong(transaction, 'true, false, or the name of a data source', 'Correct the option.');
  }
  if (!isTransactional(store)) {
    throw wrong(
      transaction,
      'false with this store, which has no transactions',
      'Use the TypeOrmStore, whose records can be part of a transaction, or leave the option out.',
    );
  }
  if (onStoreFailure === 'proceed') {
    throw wrong(
      transaction,
      "false with onStoreFailure: 'proceed'",
      'Leave one of the two out: without the store there is no transaction to run in.',
    );
  }
  const source = transaction === true ? undefined : transaction;
  store.checkSource(source);
  return { source };
}

function wrong(given: unknown, accepted: string, remedy: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({ option: 'transaction', given, accepted, remedy });
}
