import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { Resource } from '../engine/resource.js';
import { beginWork, type WorkTransactions } from '../engine/work-transaction.js';
import type { IdempotentCall } from '../keys/call.js';
import { InvalidKeyError, type KeyFunction, type KeySource } from '../keys/key-source.js';
import { resolveKey, type ResolvedKey } from '../keys/resolve-key.js';
import type { StrategyPlan } from './strategy.js';
import type { RowId } from '../options/strategy-options.js';

/** The row that a call is about, and the column of it that a strategy guards. */
export class Row {
  private readonly parts: readonly ResolvedKey[];
  /** Where the work's transaction comes from, unless it is the store's. */
  readonly transactions: WorkTransactions | undefined;

  constructor(
    readonly resource: Resource,
    /** The parts of its key, for the key of the operation. */
    readonly sources: readonly (KeySource | KeyFunction)[],
    headerName: string,
  ) {
    this.parts = sources.map((source) => resolveKey(source, { headerName }));
    const transaction = resource.transaction?.bind(resource);
    this.transactions = transaction && { begin: () => beginWork(transaction) };
  }

  /** What the strategy asks of the transaction. */
  get transaction(): StrategyPlan['transaction'] {
    return this.transactions === undefined ? 'required' : 'own';
  }

  /** @throws {@link InvalidKeyError} when a part of the row's key is missing or malformed */
  async id(call: IdempotentCall): Promise<string[]> {
    const id: string[] = [];
    for (const part of this.parts) {
      const value = await part.read(call);
      if (value === undefined)
        throw new InvalidKeyError(`The row cannot be found without ${part.description}.`);
      id.push(value);
    }
    return id;
  }
}

/** @throws {@link IdempotencyConfigurationError} when `id` names nothing */
export function sourcesOf(id: RowId | undefined): readonly (KeySource | KeyFunction)[] {
  if (id === undefined) {
    throw new IdempotencyConfigurationError({
      option: 'id',
      given: undefined,
      accepted: 'where the key of the row comes from',
      remedy: "Name it, such as { id: param('id') }.",
    });
  }
  return Array.isArray(id) ? (id as readonly (KeySource | KeyFunction)[]) : [id as KeySource];
}
