import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the gateway does with a request: an answer, or a cut connection. */
export type Step =
  | 'cut'
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    };

/** A server that answers as it is told, request by request, and with 201 once all is told. */
export class Gateway {
  readonly keys: (string | undefined)[] = [];
  private steps: Step[] = [];
  private readonly server = createServer((request, response) => this.answer(request, response));

  static async start(): Promise<Gateway> {
    const gateway = new Gateway();
    gateway.server.listen(0, '127.0.0.1');
    await once(gateway.server, 'listening');
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/payments`;
  }

  /** Begins anew, with these answers. */
  tell(...steps: Step[]): void {
    this.steps = steps;
    this.keys.length = 0;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    request.on('end', () => {
      this.keys.push(request.headers['idempotency-key']?.toString());
      const step = this.steps.shift() ?? { status: 201, body: { done: true } };
      if (step === 'cut') return void request.socket.destroy();
      const { status, headers, body = '' } = step;
      const isText = typeof body === 'string';
      response.writeHead(status, {
        'Content-Type': isText ? 'text/html' : 'application/json',
        ...headers,
      });
      response.end(isText ? body : JSON.stringify(body));
    });
  }
}
