import { Busy, MESSAGES, type Messages } from './busy.js';
import { contentOf } from './content.js';
import {
  defaultIntent,
  formRequest,
  type FormRequestOptions,
  KEY_FIELD,
  submittersOf,
} from './form-request.js';
import type { IntentRecord } from './intents.js';
import { type IdempotentFetchOptions, settingsOf } from './options.js';
import { Sender } from './sender.js';

/** Options of `protectForm()`. */
export interface ProtectFormOptions extends IdempotentFetchOptions, FormRequestOptions {
  /** Names what the form is for. @default the page's path with the form's id, name or position */
  readonly intent?: string;
  /** The texts that a screen reader says. */
  readonly messages?: Partial<Messages>;
  /**
   * Called with every answer that the client does not retry, whatever its status.
   *
   * @default behaves like a form: follows a redirect, and shows below the form why it was refused
   */
  readonly onResult?: (response: Response) => void | Promise<void>;
  /** Called if there was no answer, and with errors of `onResult`. @default reportError */
  readonly onError?: (error: unknown) => void;
}

/** Ends a protection. */
export interface Protection {
  /** Restores the element. A request in progress is aborted, but its key is kept. */
  dispose(): void;
}

/**
 * Sends a form with `fetch` and one key, however often it is submitted. Its buttons are disabled
 * until there is an answer. A reload continues a pending submission. A user who comes back with the
 * same content gets the first answer. After success the form is reset, and the next submission is
 * new.
 *
 * A hidden field `_idempotency_token` holds the key. If the page was rendered with a value in it,
 * that is the first key.
 *
 * @example
 * protectForm(form, { onResult: async (response) => show(await response.json()) });
 */
export function protectForm(form: HTMLFormElement, options: ProtectFormOptions = {}): Protection {
  return new FormProtection(form, options);
}

class FormProtection implements Protection {
  private readonly sender: Sender;
  private readonly name: string;
  private readonly busy: Busy;
  private readonly failed: string;
  private readonly field: HTMLInputElement;
  private readonly isOwnField: boolean;
  private readonly disposed = new AbortController();
  /** The key that the page came with, until it is used. */
  private given: string | undefined;
  /** The key of the form's current content; none after an answer. */
  private held: IntentRecord | undefined;
  private answered: IntentRecord | undefined;
  private readonly prepared: Promise<void>;

  constructor(
    private readonly form: HTMLFormElement,
    private readonly options: ProtectFormOptions,
  ) {
    this.sender = new Sender(settingsOf(options));
    this.name = options.intent ?? defaultIntent(form);
    const buttons = (): ReturnType<typeof submittersOf> => submittersOf(form);
    const messages = { ...MESSAGES, ...options.messages };
    this.failed = messages.failed;
    this.busy = new Busy(form, buttons, messages);
    const field = form.querySelector<HTMLInputElement>(`input[name="${KEY_FIELD}"]`);
    this.isOwnField = field === null;
    this.field = field ?? hiddenField();
    // A browser that restores fields after a reload must not restore the key of another intent.
    this.field.autocomplete = 'off';
    if (this.isOwnField) form.append(this.field);
    this.given = this.field.value === '' ? undefined : this.field.value;
    const { signal } = this.disposed;
    form.addEventListener('submit', (event) => this.onSubmit(event), { signal });
    window.addEventListener('pageshow', (event) => this.onPageShow(event), { signal });
    this.prepared = this.prepare();
    if (document.readyState === 'complete') void this.resume();
  }

  dispose(): void {
    this.disposed.abort();
    this.busy.remove();
    if (this.isOwnField) this.field.remove();
  }

  private onSubmit(event: SubmitEvent): void {
    if (event.defaultPrevented) return;
    event.preventDefault();
    if (!this.busy.isBusy) void this.submit(event.submitter);
  }

  private onPageShow({ persisted }: PageTransitionEvent): void {
    if (!persisted) void this.resume();
    // The user came back from the next page: the content of the form was already answered.
    else if (this.held === undefined && this.answered !== undefined) this.hold(this.answered);
  }

  private async prepare(): Promise<void> {
    const { signal } = this.disposed;
    const { headers } = this.options;
    try {
      const isBack = navigationType() === 'back_forward';
      this.hold(await this.sender.prepare(this.name, { headers, signal }, isBack, this.given));
    } catch {
      // There is no token yet. Submitting asks again, and shows what is wrong.
    }
  }

  /** Continues the submission of an earlier page, if the form shows the same content again. */
  private async resume(): Promise<void> {
    await this.prepared;
    if (this.held?.isPending !== true || navigationType() === 'navigate') return;
    for (const submitter of [null, ...submittersOf(this.form)]) {
      const { url, init } = formRequest(this.form, submitter, this.options);
      const { digest } = await contentOf(url, init);
      if (this.busy.isBusy || this.disposed.signal.aborted) return;
      if (digest === this.held?.digest) return this.submit(submitter);
    }
  }

  private async submit(submitter: HTMLElement | null): Promise<void> {
    const { onResult, onError = reportError } = this.options;
    const { signal } = this.disposed;
    const { url, init } = formRequest(this.form, submitter, this.options);
    this.busy.begin();
    try {
      await this.prepared;
      const { response, record, isFinal } = await this.sender.send(
        url,
        { ...init, signal },
        {
          name: this.name,
          held: this.held,
          given: this.given,
          keepsAnswered: true,
          onClaim: (claimed) => this.hold(claimed),
        },
      );
      if (isFinal) {
        this.answered = record;
        this.hold(undefined);
      }
      // A field named `reset` would hide the form's own method.
      if (response.ok) HTMLFormElement.prototype.reset.call(this.form);
      if (response.ok) this.busy.end('done');
      else this.busy.end('failed', onResult ? undefined : await reasonOf(response, this.failed));
      if (onResult) await onResult(response);
      else if (response.redirected && response.ok) location.assign(response.url);
    } catch (error) {
      if (signal.aborted) return;
      if (this.busy.isBusy) this.busy.end('failed', onResult ? undefined : this.failed);
      onError(error);
    }
  }

  private hold(record: IntentRecord | undefined): void {
    this.held = record;
    this.field.value = record?.key ?? '';
    if (record?.digest !== undefined && record.key === this.given) this.given = undefined;
  }
}

/** The message of a refusal for people: from problem details, or from Nest's errors. */
async function reasonOf(response: Response, otherwise: string): Promise<string> {
  try {
    const body = (await response.clone().json()) as Readonly<Record<string, unknown>> | null;
    for (const member of ['detail', 'message', 'title']) {
      const given: unknown = body?.[member];
      const reason: unknown = Array.isArray(given) ? given.join(' ') : given;
      if (typeof reason === 'string' && reason !== '') return `${otherwise} ${reason}`;
    }
    return otherwise;
  } catch {
    return otherwise;
  }
}

function hiddenField(): HTMLInputElement {
  const field = document.createElement('input');
  field.type = 'hidden';
  field.name = KEY_FIELD;
  return field;
}

/** How the page was reached: `navigate`, `reload`, `back_forward`. */
function navigationType(): string {
  const [navigation] = performance.getEntriesByType('navigation');
  return (navigation as PerformanceNavigationTiming | undefined)?.type ?? 'navigate';
}
