import type { Schedule } from '../keys/key-source.js';
import type { StrategyContext } from '../strategies/strategy.js';

/** One way on which calls come to a method. */
export interface Entrance {
  readonly kind: StrategyContext['kind'];
  /** The namespaces of its keys, by the path of the route, or its only one. */
  readonly scopes: ReadonlyMap<string, string> | string;
  /** What is known of it as a handler of messages. */
  readonly message?: MessageEntrance;
  /** The timer that calls it. */
  readonly schedule?: Schedule;
  /** What of its arguments a retry must repeat, where that is not all of them. */
  readonly content?: (args: readonly unknown[]) => unknown;
}

/** How a method handles messages. */
export interface MessageEntrance {
  /** What it subscribes to, as text. */
  readonly patterns: readonly string[];
  /** Nobody waits for a reply. */
  readonly isEvent: boolean;
  /** Nest's number of the only transport it is for; `undefined` for all of them. */
  readonly transport: unknown;
}
