import { connect } from 'node:net';
import { once } from 'node:events';
import { PrivateServer, type ServerRecipe } from './private-server.js';

/** A Redis without persistence: restarted, it is empty. */
export function redisRecipe(...settings: readonly string[]): ServerRecipe {
  return {
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
      ...settings,
    ],
    ping,
  };
}

/** @param settings as on the command line: `'--maxmemory', '1mb'` */
export function startRedis(...settings: readonly string[]): Promise<PrivateServer> {
  return PrivateServer.start(redisRecipe(...settings));
}

/** One command on a connection of its own, and the answer as the server wrote it. */
export async function ask(port: number, ...words: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(`${words.join(' ')}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.toString();
  } finally {
    socket.destroy();
  }
}

async function ping(port: number): Promise<void> {
  const answer = await ask(port, 'PING');
  if (!answer.startsWith('+PONG')) throw new Error(answer);
}
