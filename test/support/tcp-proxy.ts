import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One thing that will be done to the next request with this text in it. */
interface Trap {
  readonly text: string;
  /** `before`: the server never sees the request. `after`: it executes it, the answer gets lost. */
  readonly cut: 'before' | 'after';
  readonly sprung: () => void;
}

/** Stands between a client and a server, and does to their connections what networks do. */
export class TcpProxy {
  /** How long answers are on their way, in milliseconds. */
  delayMs = 0;
  /** Requests arrive, answers do not. */
  swallowsReplies = false;
  /** Requests do not arrive. */
  swallowsRequests = false;
  /** Changes answers; keep the length, which protocols count. */
  rewrite: ((text: string) => string) | undefined;
  /** Asked about everything that a client sends: whether that costs the connection, and when. */
  fate: ((text: string) => Trap['cut'] | undefined) | undefined;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private trap: Trap | undefined;

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (client) => this.join(client));
  }

  static async start(target: number): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Cuts the connection at the next request that contains the text; resolves when that is done. */
  cutAt(text: string, cut: Trap['cut']): Promise<void> {
    return new Promise((sprung) => {
      this.trap = { text: text.toLowerCase(), cut, sprung };
    });
  }

  /** Breaks every connection off. New ones may be made. */
  cutAll(): void {
    for (const pair of this.pairs) this.cut(pair);
  }

  async stop(): Promise<void> {
    this.server.close();
    this.cutAll();
    await once(this.server, 'close');
  }

  private join(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    const pair = [client, server] as const;
    this.pairs.add(pair);
    let sprung: Trap | undefined;
    let losesReply = false;
    let answered = Promise.resolve();
    client.on('data', (data) => {
      const { trap } = this;
      const text = data.toString('latin1');
      const fate = this.fate?.(text);
      if (fate === 'before') return this.cut(pair);
      if (fate === 'after') losesReply = true;
      if (trap !== undefined && text.toLowerCase().includes(trap.text)) {
        this.trap = undefined;
        sprung = trap;
        if (trap.cut === 'before') {
          this.cut(pair);
          return trap.sprung();
        }
      }
      if (!this.swallowsRequests) server.write(data);
    });
    server.on('data', (data) => {
      if (losesReply) return this.cut(pair);
      if (sprung !== undefined) {
        this.cut(pair);
        return sprung.sprung();
      }
      if (!this.swallowsReplies) answered = this.answer(client, data, answered);
    });
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => this.cut(pair));
    }
  }

  /** In the order in which the server gave them, however late. */
  private async answer(client: Socket, data: Buffer, before: Promise<void>): Promise<void> {
    const { rewrite, delayMs } = this;
    const answer =
      rewrite === undefined ? data : Buffer.from(rewrite(data.toString('latin1')), 'latin1');
    if (delayMs > 0) await sleep(delayMs);
    await before;
    client.write(answer);
  }

  private cut(pair: readonly [Socket, Socket]): void {
    this.pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}
