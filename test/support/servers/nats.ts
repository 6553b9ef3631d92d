import { connect } from '@nats-io/transport-node';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PrivateServer } from './private-server.js';

export interface NatsOptions {
  /** Users with their passwords, each with an account of its own. Without any, everybody may connect. */
  readonly users?: readonly { readonly user: string; readonly password: string }[];
}

export function startNats({ users }: NatsOptions = {}): Promise<PrivateServer> {
  const file = (folder: string): string => join(folder, 'settings.json');
  return PrivateServer.start({
    name: 'nats',
    prepare: (folder) => {
      const accounts = Object.fromEntries(users?.map((one) => [one.user, { users: [one] }]) ?? []);
      writeFileSync(file(folder), JSON.stringify(users ? { accounts } : {}));
      return Promise.resolve();
    },
    command: (folder, port) => [
      'nats-server',
      '--config',
      file(folder),
      '--addr',
      '127.0.0.1',
      '--port',
      String(port),
    ],
    ping: async (port) => {
      const [login] = users ?? [];
      const connection = await connect({
        servers: natsUrl(port),
        reconnect: false,
        ...(login && { user: login.user, pass: login.password }),
      });
      await connection.close();
    },
  });
}

export function natsUrl(port: number): string {
  return `nats://127.0.0.1:${port}`;
}
