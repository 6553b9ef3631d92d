import type { Readable } from 'node:stream';

/** The streams that produce a reply. */
export class ReplySources {
  private readonly watched = new Set<Readable>();
  /** The first error of any of them. */
  failure: { readonly error: unknown } | undefined;

  /** @param onCutOff called if one of them was closed before its end */
  constructor(private readonly onCutOff: () => void) {}

  watch(source: Readable): void {
    if (this.watched.has(source)) return;
    this.watched.add(source);
    const failed = (error: unknown): void => void (this.failure ??= { error });
    if (source.errored) failed(source.errored);
    source.once('error', failed);
    source.once('close', () => {
      // Frameworks destroy the source of a reply if the client has disconnected.
      if (!source.readableEnded && this.failure === undefined) this.onCutOff();
    });
  }
}
