import type { INestApplication } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';

export const ADAPTERS = ['socket.io', 'ws'] as const;
export type Adapter = (typeof ADAPTERS)[number];

/** An event from the server. */
export type Received = readonly [event: string, data: unknown];

/** A client with a real connection; the test closes it. */
export interface SocketClient {
  send(event: string, data?: unknown): void;
  /** Resolves with the next event that nobody has taken yet. */
  take(): Promise<Received>;
  /** Events that nobody has taken yet. */
  readonly received: readonly Received[];
  close(): void;
}

export function use(adapter: Adapter, app: INestApplication): void {
  app.useWebSocketAdapter(adapter === 'ws' ? new WsAdapter(app) : new IoAdapter(app));
}

export async function connectClient(
  adapter: Adapter,
  port: number,
  user?: string,
  place = '/',
): Promise<SocketClient> {
  const inbox = new Inbox();
  if (adapter === 'ws') {
    const headers = user === undefined ? {} : { 'x-user': user };
    const socket = new WebSocket(`ws://127.0.0.1:${port}${place}`, { headers });
    socket.on('message', (message: Buffer) => {
      const { event, data } = JSON.parse(message.toString()) as { event: string; data: unknown };
      inbox.put([event, data]);
    });
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    return {
      send: (event, data) => socket.send(JSON.stringify({ event, data })),
      take: () => inbox.take(),
      received: inbox.open,
      close: () => socket.terminate(),
    };
  }
  const socket = connectIo(port, user === undefined ? {} : { user }, place);
  socket.onAny((event: string, data: unknown) => inbox.put([event, data]));
  await new Promise((resolve, reject) =>
    socket.on('connect', () => resolve(undefined)).on('connect_error', reject),
  );
  return {
    send: (event, data) => socket.emit(event, data),
    take: () => inbox.take(),
    received: inbox.open,
    close: () => socket.disconnect(),
  };
}

/** A client of socket.io, which connects by itself. */
export function connectIo(port: number, auth: object = {}, place = '/') {
  return io(`http://127.0.0.1:${port}${place}`, {
    auth: { ...auth },
    forceNew: true,
    reconnection: false,
    transports: ['websocket'],
  });
}

class Inbox {
  readonly open: Received[] = [];
  private readonly waiting: ((received: Received) => void)[] = [];

  put(received: Received): void {
    const waiting = this.waiting.shift();
    if (waiting === undefined) this.open.push(received);
    else waiting(received);
  }

  take(): Promise<Received> {
    const received = this.open.shift();
    return received === undefined
      ? new Promise((resolve) => this.waiting.push(resolve))
      : Promise.resolve(received);
  }
}
