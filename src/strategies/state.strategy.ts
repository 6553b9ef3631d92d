import { wrongOption } from '../engine/configuration-error.js';
import type { Expectation, Resource, Unmet } from '../engine/resource.js';
import type { KeySource } from '../keys/key-source.js';
import { keySource } from '../keys/key-sources.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import { ResourceRegistry } from './resource-registry.js';
import {
  REFUSED_OPTIONS,
  type State,
  type StateOptions,
  type Transitions,
} from '../options/strategy-options.js';
import type { IdempotencyStrategyContract, StrategyContext, StrategyPlan } from './strategy.js';

/**
 * Moves the row from one state to the next, once, before the handler runs. State, business rows and
 * record are one transaction. A repeat gets the first reply, even with another body.
 */
@IdempotencyStrategy('state')
export class StateStrategy implements IdempotencyStrategyContract {
  readonly options = ['entity', 'id', 'column', 'to', 'from'] as const;
  readonly withoutOptions = REFUSED_OPTIONS.state;

  constructor(private readonly resources: ResourceRegistry) {}

  plan({ options }: StrategyContext): StrategyPlan {
    const { column, to, from } = options as Partial<StateOptions>;
    if (typeof column !== 'string' || column === '')
      throw wrongOption(
        'column',
        column,
        'the name of a property',
        "Name it, such as column: 'status'.",
      );
    if (!isState(to))
      throw wrongOption('to', to, 'text or a number', 'Name the state to change to.');
    const expected = expectationOf(from, to);
    const row = this.resources.row('state', options);
    return {
      key: [...row.sources, theState(to)],
      comparesContent: false,
      keepsReply: true,
      transaction: row.transaction,
      published: {
        unmet: [{ code: 'IDEMPOTENCY_RESOURCE_NOT_FOUND' }, { code: 'IDEMPOTENCY_STATE_CONFLICT' }],
      },
      check: () => row.resource.check?.(),
      begin: async (call) => {
        const id = await row.id(call);
        const check = (): Promise<Unmet | undefined> => change(row.resource, id, expected, to);
        return { precondition: { check, transactions: row.transactions } };
      },
    };
  }
}

/** The target state: a part of the key that clients do not send. */
function theState(to: State): KeySource {
  const source = keySource(`state ${to}`, () => to);
  return { ...source, isNeverMissing: true, isNeverInvalid: true };
}

async function change(
  resource: Resource,
  id: readonly string[],
  expected: Expectation,
  to: State,
): Promise<Unmet | undefined> {
  if (await resource.compareAndSet(id, expected, to)) return undefined;
  const current = await resource.readForUpdate(id);
  if (current === undefined) return { code: 'IDEMPOTENCY_RESOURCE_NOT_FOUND' };
  return {
    code: 'IDEMPOTENCY_STATE_CONFLICT',
    detail: `The state cannot change from ${current} to ${to}.`,
    members: { current: String(current), wanted: String(to) },
  };
}

function expectationOf(from: StateOptions['from'], to: State): Expectation {
  if (from === undefined) {
    if (typeof to === 'number') return { below: to };
    throw wrongOption(
      'from',
      from,
      'the states from which this one may be reached, because it is text',
      "List them, such as from: ['created'], or use ascending numbers.",
    );
  }
  const oneOf = statesBefore(from, to);
  if (oneOf.length === 0 || !oneOf.every(isState) || oneOf.some((state) => state === to)) {
    throw wrongOption(
      'from',
      from,
      `at least one state other than ${to}`,
      'List the states from which this one may be reached, or correct the transitions.',
    );
  }
  return { oneOf };
}

function statesBefore(from: NonNullable<StateOptions['from']>, to: State): readonly State[] {
  if (Array.isArray(from)) return from as readonly State[];
  if (typeof from !== 'object') return [];
  return Object.entries(from as Transitions)
    .filter(([, next]) => next.includes(to))
    .map(([state]) => (typeof to === 'number' ? Number(state) : state));
}

function isState(value: unknown): value is State {
  return typeof value === 'number'
    ? Number.isFinite(value)
    : typeof value === 'string' && value !== '';
}
