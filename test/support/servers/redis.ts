import { connect } from 'node:net';
import { once } from 'node:events';
import { PrivateServer, type ServerRecipe } from './private-server.js';

const recipe: ServerRecipe = {
  name: 'redis',
  command: (folder, port) => [
    'redis-server',
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'no',
  ],
  ping,
};

/** A Redis without persistence: restarted, it is empty. */
export function startRedis(): Promise<PrivateServer> {
  return PrivateServer.start(recipe);
}

async function ping(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    if (!answer.toString().startsWith('+PONG')) throw new Error(answer.toString());
  } finally {
    socket.destroy();
  }
}
