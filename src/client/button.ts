import { Busy, MESSAGES, type Messages } from './busy.js';
import { isSafe } from './content.js';
import { defaultIntent } from './form-request.js';
import type { IdempotentFetch } from './fetch.js';
import type { Protection } from './form.js';
import type { IntentRecord } from './intents.js';
import { type IdempotentFetchOptions, settingsOf } from './options.js';
import { Sender } from './sender.js';

/** Options of `protectButton()`. */
export interface ProtectButtonOptions extends IdempotentFetchOptions {
  /** Names what the button does. @default the page's path with the button's id, name or position */
  readonly intent?: string;
  /** The texts that a screen reader says. */
  readonly messages?: Partial<Messages>;
  /** Called with what the action throws. @default reportError */
  readonly onError?: (error: unknown) => void;
}

/** What the action of a button gets. */
export interface ButtonWork {
  /**
   * Sends requests as parts of the intent, distinguished by their order. Every run of the action
   * repeats them with the same keys, until a run has ended with final answers to all of them.
   */
  readonly fetch: IdempotentFetch;
  /** The name of the intent. */
  readonly intent: string;
}

/**
 * Runs an action when the button is pressed, once at a time: the button is disabled until the
 * action has ended. If it fails, or the page is left, the next press continues with the same keys.
 *
 * @example
 * protectButton(button, async ({ fetch }) => show(await fetch('/votes/7', { method: 'POST' })));
 */
export function protectButton(
  button: HTMLButtonElement,
  action: (work: ButtonWork) => unknown,
  options: ProtectButtonOptions = {},
): Protection {
  const settings = settingsOf(options);
  const sender = new Sender(settings);
  const intent = options.intent ?? defaultIntent(button);
  const busy = new Busy(button, () => [button], { ...MESSAGES, ...options.messages });
  const disposed = new AbortController();
  const { onError = reportError } = options;

  const press = async (): Promise<void> => {
    const run = new ActionRun(sender, intent, settings.fetch, disposed.signal);
    busy.begin();
    try {
      await action({ fetch: run.fetch, intent });
      await run.end();
      busy.end('done');
    } catch (error) {
      if (disposed.signal.aborted) return;
      busy.end('failed');
      onError(error);
    }
  };
  button.addEventListener('click', () => void (busy.isBusy || press()), disposed);
  return {
    dispose() {
      disposed.abort();
      busy.remove();
    },
  };
}

/** The requests of one run of an action. */
class ActionRun {
  private readonly answered: (readonly [name: string, record: IntentRecord])[] = [];
  private requests = 0;

  constructor(
    private readonly sender: Sender,
    private readonly intent: string,
    private readonly send: typeof fetch,
    private readonly signal: AbortSignal,
  ) {}

  readonly fetch: IdempotentFetch = async (input, { intent, ...init } = {}) => {
    if (isSafe(input, init)) return this.send(input, init);
    this.requests++;
    const name = `${this.intent}/${intent ?? this.requests}`;
    const { headers, signal = this.signal } = init;
    const identity = { headers, signal: signal ?? this.signal };
    const held = await this.sender.prepare(name, identity, true);
    const sent = await this.sender.send(
      input,
      { ...init, signal },
      { name, held, keepsAnswered: true },
    );
    if (sent.isFinal) this.answered.push([name, sent.record]);
    return sent.response;
  };

  /** The action has ended. The next press is a new intent, unless a request has no final answer. */
  async end(): Promise<void> {
    if (this.answered.length < this.requests) return;
    for (const [name, record] of this.answered) await this.sender.forget(name, record);
  }
}
