/** The texts that a screen reader says. */
export interface Messages {
  /** @default 'Sending …' */
  readonly pending: string;
  /** After an answer of success. @default 'Done.' */
  readonly done: string;
  /** After any other answer, or none. @default 'This did not work.' */
  readonly failed: string;
}

/** @internal */
export const MESSAGES: Messages = {
  pending: 'Sending …',
  done: 'Done.',
  failed: 'This did not work.',
};

/** A control that can be pressed. @internal */
export type Pressable = HTMLButtonElement | HTMLInputElement;

const UNSEEN = 'position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)';

/** Shows that something is in progress, also to screen readers. @internal */
export class Busy {
  private readonly status: HTMLElement;
  private disabled: readonly Pressable[] = [];
  private focused: Pressable | undefined;
  private isOn = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly buttons: () => readonly Pressable[],
    private readonly messages: Messages,
  ) {
    // Created at the start, because a region that appears together with its text is not announced.
    this.status = document.createElement('span');
    this.status.setAttribute('role', 'status');
    this.status.style.cssText = UNSEEN;
    host.after(this.status);
  }

  get isBusy(): boolean {
    return this.isOn;
  }

  begin(): void {
    this.isOn = true;
    this.host.setAttribute('aria-busy', 'true');
    this.disabled = this.buttons().filter((button) => !button.disabled);
    this.focused = this.disabled.find((button) => button === document.activeElement);
    for (const button of this.disabled) {
      button.disabled = true;
      button.setAttribute('aria-disabled', 'true');
    }
    this.status.style.cssText = UNSEEN;
    this.status.textContent = this.messages.pending;
  }

  /** @param shown a text that everybody can see, instead of the message for a screen reader */
  end(outcome: 'done' | 'failed', shown?: string): void {
    this.release();
    this.status.textContent = shown ?? this.messages[outcome];
    if (shown !== undefined) this.status.style.cssText = '';
  }

  /** Restores the page. */
  remove(): void {
    this.release();
    this.status.remove();
  }

  private release(): void {
    if (!this.isOn) return;
    this.isOn = false;
    this.host.removeAttribute('aria-busy');
    for (const button of this.disabled) {
      button.disabled = false;
      button.removeAttribute('aria-disabled');
    }
    // The button lost the focus when it was disabled. Without this, keyboard users would lose their
    // place.
    if (document.activeElement === document.body) this.focused?.focus();
  }
}
