import { hasEnded, isOver } from './outcomes.js';

/**
 * @typedef {object} Call a request, a delivery or work in the background
 * @property {string} id
 * @property {'request' | 'message' | 'background'} kind
 * @property {string} title
 * @property {string} [requestId]
 * @property {boolean} [isWorkers]
 * @property {number} startedAt
 * @property {number} [endedAt]
 * @property {{ type: string, at: number, code?: string, attempt?: number, durationMs?: number }[]} events
 * @property {'answered' | 'lost' | 'killed'} [how]
 * @property {number} [status]
 * @property {string} [retryAfter]
 * @property {boolean} [isReplayed]
 */

/** How many calls the timeline keeps. */
const KEPT = 150;
const RECONNECT_MS = 2_000;
const SETTLE_MS = 15_000;

/**
 * What happens on the server, from its event stream. Fires `change` with new and changed calls, `restart`
 * when a new server has taken over, and `connection`.
 */
export class Timeline extends EventTarget {
  /** @type {Map<string, Call>} */
  calls = new Map();
  isConnected = false;
  /** How far the server's clock is ahead of this one, in milliseconds. */
  #ahead = 0;
  #run;
  #heard = 0;
  #lastChange = 0;

  connect() {
    const source = new EventSource('/timeline');
    source.addEventListener('hello', (event) => this.#hello(JSON.parse(event.data)));
    source.addEventListener('entry', (event) => this.#hear(event));
    source.addEventListener('error', () => {
      this.#connection(false);
      // If the answer is not a stream, a browser does not reconnect by itself.
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(() => this.connect(), RECONNECT_MS);
    });
  }

  /** The current time on the server's clock. */
  get now() {
    return Date.now() + this.#ahead;
  }

  clear() {
    this.calls.clear();
    this.#fire('change', []);
  }

  /** Resolves when a request has one of these events, or after a while. */
  heardOf(requestId, types) {
    return this.#until(() =>
      [...this.calls.values()].some(
        (call) => call.requestId === requestId && call.events.some(({ type }) => types.has(type)),
      ),
    );
  }

  /** Resolves when nothing has been in progress for a while. */
  settled(quietMs) {
    return this.#until(
      () =>
        !this.isConnected ||
        (Date.now() - this.#lastChange > quietMs && [...this.calls.values()].every(isOver)),
    );
  }

  /**
   * How often a handler of this process ran for the requests of one press.
   *
   * @param {string} runId
   * @param {string} route
   * @param {(call: Call) => boolean} counts
   */
  ranBy(runId, route, counts) {
    return [...this.calls.values()].filter(
      (call) =>
        call.requestId?.startsWith(`${runId}-`) === true &&
        call.title === route &&
        !call.isWorkers &&
        counts(call),
    ).length;
  }

  async #until(condition) {
    const deadline = Date.now() + SETTLE_MS;
    while (!condition() && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
  }

  #hello({ run, now }) {
    this.#ahead = now - Date.now();
    if (run !== this.#run) {
      const isRestart = this.#run !== undefined;
      this.#run = run;
      this.#heard = 0;
      this.clear();
      if (isRestart) this.#fire('restart');
    }
    this.#connection(true);
  }

  #hear({ lastEventId, data }) {
    const number = Number(lastEventId.split('.')[1]);
    if (number <= this.#heard) return;
    this.#heard = number;
    const entry = JSON.parse(data);
    const call = this.#apply(entry);
    if (call === undefined) return;
    this.#lastChange = Date.now();
    this.#fire('change', [call]);
  }

  #apply({ entry, call: id, at, ...rest }) {
    if (entry === 'started') {
      this.calls.set(id, { id, startedAt: at, events: [], ...rest });
      if (this.calls.size > KEPT) this.calls.delete(this.calls.keys().next().value);
      return this.calls.get(id);
    }
    const call = this.calls.get(id);
    if (call === undefined) return undefined;
    if (entry === 'ended') return Object.assign(call, { endedAt: at }, rest);
    const { scope, ...event } = rest;
    call.events.push({ at, ...event });
    // If a path may contain a key, the server sends only its beginning. A scope is a template.
    if (call.kind === 'request' && scope.includes(' /')) call.title = scope;
    if (call.how === 'lost' && hasEnded(event)) call.endedAt = at;
    return call;
  }

  #connection(isConnected) {
    this.isConnected = isConnected;
    this.#fire('connection', isConnected);
  }

  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
