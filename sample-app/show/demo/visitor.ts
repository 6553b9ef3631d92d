import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncomingHttpHeaders } from 'node:http';
import type { Effects } from '../effects/effects.js';

/** How long a visitor waits for anything before giving up: longer than the shop has anybody wait. */
const PATIENCE_MS = 40_000;
/** How long before sending again what nobody has begun with. */
const RESEND_MS = 5_000;

/** One request, to be sent as often as one likes. */
export interface Call {
  /** `POST` when absent. */
  readonly method?: 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Someone who uses the shop over the network, and whose network is not always good. */
export class Visitor {
  /** How many requests that change something went out. */
  sent = 0;

  constructor(private readonly url: string) {}

  /** Sends the call and reads the whole reply. */
  send(call: Call): Promise<Reply> {
    this.sent += 1;
    return exchange(call.method ?? 'POST', new URL(call.path, this.url), call);
  }

  /** Sends the same call several times at once. */
  sendAtOnce(call: Call, times: number): Promise<Reply[]> {
    return Promise.all(Array.from({ length: times }, () => this.send(call)));
  }

  /** Sends the call, and sends it again for as long as the answer is to come back later. */
  async sendUntilAnswered(call: Call): Promise<Reply> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const reply = await this.send(call);
      if (!isToComeAgain(reply) || Date.now() > deadline) return reply;
      await sleep(Number(reply.headers['retry-after'] ?? 1) * 1000);
    }
  }

  /**
   * Sends the call and loses the reply: the connection is cut when the handler has begun, with
   * not a byte of the answer read. A shop that is too busy refuses unheard, so whoever waits in
   * vain sends again.
   */
  async loseReply(call: Call, route: keyof Effects): Promise<void> {
    const { [route]: before } = await this.effects();
    const deadline = Date.now() + PATIENCE_MS;
    const sockets: Socket[] = [];
    try {
      do sockets.push(this.sendUnheard(call));
      while (!(await this.hasRun(route, before + 1, RESEND_MS)) && Date.now() < deadline);
      await this.untilRan(route, before + 1);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  }

  /** Waits until the handler of a route has begun for that many times in all. */
  async untilRan(route: keyof Effects, times: number): Promise<void> {
    if (!(await this.hasRun(route, times, PATIENCE_MS)))
      throw new Error(`${route} did not run ${times} times`);
  }

  effects(): Promise<Effects> {
    return this.read<Effects>('/effects');
  }

  ledger(): Promise<Record<string, number>> {
    return this.read<Record<string, number>>('/ledger');
  }

  /** The body that a `GET` answers with. */
  async read<T>(path: string): Promise<T> {
    return json<T>(await this.get(path));
  }

  get(path: string): Promise<Reply> {
    return exchange('GET', new URL(path, this.url), { path });
  }

  /** A token of the shop's, in the header that takes it back. */
  async token(headers: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> {
    const url = new URL('/idempotency/tokens', this.url);
    const issued = await exchange('POST', url, { path: url.pathname, headers });
    const { header, token } = json<{ header: string; token: string }>(issued);
    return { ...headers, [header]: token };
  }

  private async hasRun(route: keyof Effects, times: number, withinMs: number): Promise<boolean> {
    const deadline = Date.now() + withinMs;
    while ((await this.effects())[route] < times) {
      if (Date.now() > deadline) return false;
      await sleep(5);
    }
    return true;
  }

  private sendUnheard(call: Call): Socket {
    this.sent += 1;
    const { hostname, port } = new URL(this.url);
    // Without a `data` listener the socket does not read.
    const socket = connect(Number(port), hostname, () => socket.write(onTheWire(call, hostname)));
    // A shop that is gone is noticed by whoever asks for its effects.
    return socket.on('error', () => undefined);
  }
}

/** The body of a reply, decoded. */
export function json<T = Record<string, unknown>>(reply: Reply): T {
  return JSON.parse(reply.body.toString()) as T;
}

/** True for a refusal that says to come again: a duplicate too early, or a shop that is too busy. */
function isToComeAgain(reply: Reply): boolean {
  return isInUse(reply) || reply.status === 503;
}

/** True for the answer to a duplicate whose original is still running. */
export function isInUse(reply: Reply): boolean {
  return reply.status === 409 && json(reply).code === 'IDEMPOTENCY_KEY_IN_USE';
}

function encode({ headers, body }: Call): { headers: Record<string, string>; content: string } {
  const content = body === undefined ? '' : JSON.stringify(body);
  return {
    content,
    headers: {
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      'Content-Length': String(Buffer.byteLength(content)),
      ...headers,
    },
  };
}

/** The request as bytes of HTTP/1.1. */
function onTheWire(call: Call, host: string): string {
  const { headers, content } = encode(call);
  const lines = Object.entries({ Host: host, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return [`${call.method ?? 'POST'} ${call.path} HTTP/1.1`, ...lines, '', content].join('\r\n');
}

function exchange(method: string, url: URL, call: Call): Promise<Reply> {
  const { headers, content } = encode(call);
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const outgoing = request(url, { method, headers, agent: false, signal }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('error', reject);
      incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
      incoming.on('end', () => {
        const { statusCode: status = 0, headers: received } = incoming;
        resolve({ status, headers: received, body: Buffer.concat(chunks) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(content);
  });
}
