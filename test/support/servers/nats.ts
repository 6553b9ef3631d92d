import { connect } from '@nats-io/transport-node';
import { PrivateServer } from './private-server.js';

/** @param settings as on the command line: `'--max_payload', '1024'` */
export function startNats(...settings: readonly string[]): Promise<PrivateServer> {
  return PrivateServer.start({
    name: 'nats',
    command: (_folder, port) => [
      'nats-server',
      '--addr',
      '127.0.0.1',
      '--port',
      String(port),
      ...settings,
    ],
    ping: async (port) => {
      const connection = await connect({ servers: natsUrl(port), reconnect: false });
      await connection.close();
    },
  });
}

export function natsUrl(port: number): string {
  return `nats://127.0.0.1:${port}`;
}
