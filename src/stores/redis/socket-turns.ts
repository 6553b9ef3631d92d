/** The part of a socket that holds back what is written to it, and then writes it in one piece. */
export interface Corkable {
  cork(): void;
  uncork(): void;
}

/** Captured at load: a test that replaces the global timers must not hold commands back forever. */
const { setImmediate: atEndOfTurn } = globalThis;

/**
 * Sends all commands of one turn of the event loop in one write, because each write is a system call.
 * The turn ends when the requests and answers that have arrived were handled. With nothing else to
 * handle, that is at once.
 */
export class SocketTurns {
  private held: readonly Corkable[] | undefined;

  /** @param sockets those that commands may be written to now */
  constructor(private readonly sockets: () => readonly Corkable[]) {}

  /** Called before each command. Only the first one of a turn does anything. */
  hold(): void {
    if (this.held !== undefined) return;
    const held = this.sockets();
    if (held.length === 0) return;
    for (const socket of held) socket.cork();
    this.held = held;
    atEndOfTurn(this.write);
  }

  /** A socket that was closed or replaced in the meantime takes no harm. */
  private readonly write = (): void => {
    const { held = [] } = this;
    this.held = undefined;
    for (const socket of held) socket.uncork();
  };
}
