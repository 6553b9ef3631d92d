/**
 * @typedef {object} CallToMake
 * @property {'POST' | 'PUT' | 'DELETE'} [method] `POST` when absent
 * @property {string} path
 * @property {Record<string, string>} [headers]
 * @property {unknown} [body]
 */

/**
 * @typedef {object} Reply
 * @property {number} status 0 when the connection was cut
 * @property {boolean} isReplayed
 * @property {string | null} retryAfter
 * @property {Record<string, unknown>} body
 */

/** The library's events once it handles a request. */
export const BEGUN = new Set(['claimed', 'taken-over', 'replayed', 'rejected']);
/** How many requests the client sends before it gives up. */
const TRIES = 12;

/** @type {Reply} */
const LOST = { status: 0, isReplayed: false, retryAfter: null, body: {} };

export const newKey = () => crypto.randomUUID();

/** One press of a button: the requests it sent, and their replies. */
export class Run extends EventTarget {
  requests = 0;
  /** Whether its requests go where nothing protects them. */
  isUnprotected = false;
  /** @type {Reply[]} */
  replies = [];

  /**
   * @param {import('./timeline.js').Timeline} timeline
   * @param {() => string} user who is signed in
   * @param {number} paceMs how much longer handlers take, for people to see what happens
   */
  constructor(timeline, user, paceMs) {
    super();
    this.timeline = timeline;
    this.user = user;
    this.paceMs = paceMs;
    /** The common prefix of its request ids. */
    this.id = newKey().slice(0, 8);
  }

  newRequestId() {
    return `${this.id}-${newKey().slice(0, 8)}`;
  }

  /** A `fetch` that sends the user and the id of its bar in the timeline. */
  fetch = async (input, init = {}, requestId = this.newRequestId()) => {
    const request = new Request(input, init);
    const headers = new Headers(request.headers);
    headers.set('X-Request-Id', requestId);
    if (this.paceMs > 0) headers.set('X-Slow-Motion', String(this.paceMs));
    if (this.user() !== '') headers.set('Authorization', `Bearer ${this.user()}`);
    return fetch(new Request(request, { headers }), { signal: init.signal });
  };

  /** Like {@link fetch}, but counted. */
  countedFetch = async (input, init, requestId) => {
    this.#sent();
    try {
      const response = await this.fetch(input, init, requestId);
      this.#replied(await replyOf(response.clone()));
      return response;
    } catch (error) {
      this.#replied(LOST);
      throw error;
    }
  };

  /** @returns {Promise<Reply>} */
  async send(call, requestId, signal) {
    this.#sent();
    return this.#replied(await this.prepare(call, requestId, signal));
  }

  /** Sends a request that the scenario needs but does not count. */
  async prepare({ method = 'POST', path, headers, body }, requestId, signal) {
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const init = { method, headers: { ...type, ...headers }, ...content, signal };
    return replyOf(await this.fetch(path, init, requestId));
  }

  async read(path) {
    return (await fetch(path)).json();
  }

  atOnce(call, times) {
    return Promise.all(Array.from({ length: times }, () => this.send(call)));
  }

  /** Resolves when the server has started; the reply has not come yet. */
  async begin(call) {
    const requestId = this.newRequestId();
    const reply = this.send(call, requestId);
    await Promise.race([reply, this.timeline.heardOf(requestId, BEGUN)]);
    return { reply };
  }

  /** Cuts the connection once the server has started, so that the reply is lost. */
  async lose(call) {
    const requestId = this.newRequestId();
    const connection = new AbortController();
    this.#sent();
    const sent = this.prepare(call, requestId, connection.signal).catch(() => undefined);
    await Promise.race([sent, this.timeline.heardOf(requestId, BEGUN)]);
    connection.abort();
    this.#replied(LOST);
  }

  /** Sends it, and retries while the answer says to come back later. */
  async sendUntilAnswered(call) {
    for (let tries = 1; ; tries++) {
      const reply = await this.send(call);
      const comesBack = reply.body.retryable === true || reply.status >= 500;
      if (!comesBack || tries === TRIES) return reply;
      await this.pause(Number(reply.retryAfter ?? 0) * 1000 || 300);
    }
  }

  /** Shows a reply that is not counted. */
  note(reply) {
    return this.#replied(reply);
  }

  pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  #sent() {
    this.requests += 1;
    this.dispatchEvent(new Event('change'));
  }

  #replied(reply) {
    this.replies.push(reply);
    this.dispatchEvent(new Event('change'));
    return reply;
  }
}

/** @returns {Promise<Reply>} */
async function replyOf(response) {
  const text = await response.text();
  return {
    status: response.status,
    isReplayed: response.headers.get('Idempotent-Replayed') === 'true',
    retryAfter: response.headers.get('Retry-After'),
    body: asJson(text),
  };
}

function asJson(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
