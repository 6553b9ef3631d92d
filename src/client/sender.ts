import { attempt, pause } from './attempt.js';
import { type Content, contentOf } from './content.js';
import { IdempotentFetchError, type Settings } from './options.js';
import { type IntentRecord, Intents } from './intents.js';
import { newKey } from './random.js';
import { SharedCalls } from './shared-calls.js';
import { type Answer, asksForAnother, isLastWord, retryAfterMs } from './refusal.js';

/** Which intent a request belongs to. @internal */
export interface IntentCall {
  /** Absent for a call that is its own intent. */
  readonly name?: string;
  /** The key that a form got when it was shown. */
  readonly held?: IntentRecord;
  /** A key that the page came with, for the next intent that is new. */
  readonly given?: string;
  /** Keep the key of an answered intent, for a user who goes back. */
  readonly keepsAnswered?: boolean;
  /** Called with the key before it is sent. */
  readonly onClaim?: (record: IntentRecord) => void;
}

/** An answer, and whether it ends the intent. @internal */
export interface Sent {
  readonly response: Response;
  readonly record: IntentRecord;
  readonly isFinal: boolean;
}

interface LastAnswer extends Answer {
  readonly attempts: number;
}

/** What a request for a token shares with the request that the token is for. @internal */
export type Identity = Pick<RequestInit, 'headers' | 'credentials'> & {
  readonly signal: AbortSignal;
};

/** Sends requests until they are answered, with the key of their intent. @internal */
export class Sender {
  private readonly intents: Intents;
  private readonly shared = new SharedCalls();

  constructor(private readonly settings: Settings) {
    this.intents = new Intents(settings.storage);
  }

  async send(
    input: Parameters<typeof fetch>[0],
    init: RequestInit,
    call: IntentCall,
  ): Promise<Sent> {
    return this.sendContent(await contentOf(input, init), call);
  }

  /**
   * Like {@link send}, but concurrent calls with the same name, content and headers share one call.
   * Headers say who is calling: nobody gets a reply to somebody else.
   */
  async sendShared(
    input: Parameters<typeof fetch>[0],
    init: RequestInit,
    name: string,
  ): Promise<Response> {
    const content = await contentOf(input, init);
    const { headers, credentials } = content.request;
    const id = JSON.stringify([name, content.digest, credentials, ...headers]);
    return this.shared.join(id, content.signal, async (signal) => {
      return (await this.sendContent({ ...content, signal }, { name })).response;
    });
  }

  private async sendContent(content: Content, call: IntentCall): Promise<Sent> {
    const end = Date.now() + this.settings.deadlineMs;
    const own = content.request.headers.get(this.settings.header);
    if (own !== null) return this.sendWithKey(content, { held: { key: checkedKey(own) } }, end);
    const sent = await this.sendWithKey(content, call, end);
    // The server decides about the age and the owner of a token, not this client.
    return sent.isRefusedUnused
      ? this.sendWithKey(content, { ...call, held: undefined, given: undefined }, end)
      : sent;
  }

  private async sendWithKey(
    content: Content,
    { name, held, given, keepsAnswered = false, onClaim }: IntentCall,
    end: number,
  ): Promise<Sent & { readonly isRefusedUnused: boolean }> {
    const makeKey = async (): Promise<IntentRecord> =>
      given === undefined ? this.makeKey(identityOf(content), end) : { key: given };
    const { record, wasUnsent } = await this.intents.claim(name, content.digest, makeKey, held);
    onClaim?.(record);
    let outcome: 'open' | 'answered' | 'forgotten' = 'open';
    try {
      const answer = await this.ask(() => this.request(content, record), end);
      const { response, refusal, attempts } = answer;
      const isFinal = isLastWord(answer);
      const isRefusedUnused =
        wasUnsent && attempts === 1 && refusal?.code === 'IDEMPOTENCY_TOKEN_INVALID';
      if (isFinal) outcome = keepsAnswered ? 'answered' : 'forgotten';
      return { response, record, isFinal, isRefusedUnused };
    } finally {
      await this.settle(name, record, outcome);
    }
  }

  forget(name: string, record: IntentRecord): Promise<void> {
    return this.settle(name, record, 'forgotten');
  }

  /** The key of what is shown; see {@link Intents.prepare}. */
  prepare(
    name: string,
    identity: Identity,
    isBack: boolean,
    given?: string,
  ): Promise<IntentRecord> {
    const end = Date.now() + this.settings.deadlineMs;
    return this.intents.prepare(name, () => this.makeKey(identity, end), isBack, given);
  }

  private async settle(...ended: Parameters<Intents['settle']>): Promise<void> {
    try {
      await this.intents.settle(...ended);
    } catch {
      // There is an answer, and a failing storage must not hide it.
    }
  }

  /** Repeats a request until there is an answer that does not ask for a retry. */
  private async ask(fresh: () => Request, end: number): Promise<LastAnswer> {
    const { baseDelayMs, maxDelayMs, attemptMs, onRetry } = this.settings;
    for (let attempts = 1; ; attempts++) {
      const request = fresh();
      const limitMs = Math.min(attemptMs, Math.max(end - Date.now(), 1));
      const result = await attempt(this.settings.fetch, request, limitMs);
      if (result.response !== undefined && !(await this.isToRepeat(result)))
        return { attempts, ...result };
      // Full jitter: clients that failed together do not come back together.
      const backOffMs = Math.random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (attempts - 1));
      const delayMs = retryAfterMs(result.response) + backOffMs;
      if (Date.now() + delayMs >= end)
        throw new IdempotentFetchError(
          `No final answer within ${this.settings.deadlineMs} ms. You can repeat the same call.`,
          attempts,
          result.response,
          { cause: result.response === undefined ? result.error : undefined },
        );
      const error = result.response === undefined ? result.error : undefined;
      onRetry?.({ attempts, delayMs, response: result.response, error });
      await pause(delayMs, request.signal);
    }
  }

  private async isToRepeat(answer: Answer): Promise<boolean> {
    if (asksForAnother(answer)) return true;
    return (await this.settings.retryOn?.(answer.response.clone())) === true;
  }

  private request({ request, bytes, signal }: Content, { key, header }: IntentRecord): Request {
    const headers = new Headers(request.headers);
    headers.set(header ?? this.settings.header, key);
    return new Request(request, { method: request.method, headers, body: bytes, signal });
  }

  private async makeKey(identity: Identity, end: number): Promise<IntentRecord> {
    const { tokenUrl, purpose } = this.settings;
    if (tokenUrl === undefined) return { key: newKey() };
    const { credentials, signal } = identity;
    const headers = new Headers(identity.headers);
    headers.set('Content-Type', 'application/json');
    const body = JSON.stringify({ purpose });
    const ask = (): Request =>
      new Request(tokenUrl, { method: 'POST', headers, credentials, signal, body });
    const { response, attempts } = await this.ask(ask, end);
    if (!response.ok)
      throw new IdempotentFetchError(`No token: ${response.status}.`, attempts, response);
    const { token, expiresAt, header } = (await response.json()) as Record<string, string>;
    if (token === undefined)
      throw new IdempotentFetchError('The reply contains no token.', attempts, response);
    return {
      key: token,
      header,
      expiresAt: Date.parse(expiresAt ?? '') || undefined,
      isUnsent: true,
    };
  }
}

function identityOf({ request, signal }: Content): Identity {
  const { headers, credentials } = request;
  return { headers, credentials, signal };
}

/** In quotes, with a backslash before each quote and backslash. */
const LONGEST_QUOTED = 2 * 255 + 2;

/** The rule of the server, which would refuse it. */
function checkedKey(key: string): string {
  const isQuoted = key.startsWith('"');
  if (/^[ -~]+$/.test(key) && key.length <= (isQuoted ? LONGEST_QUOTED : 255)) return key;
  throw new TypeError(
    'The key in the header is no key: 1 to 255 characters of visible ASCII with spaces inside are accepted.',
  );
}
