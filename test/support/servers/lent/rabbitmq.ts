import type { PrivateServer } from '../private-server.js';
import { rabbitmqUrl, startRabbitmq } from '../rabbitmq.js';
import { type LentServer, names, portOf, withPath } from './server.js';

/** A server starts with so many, and the next server starts when they have all been lent. */
const VHOSTS = 16;

/**
 * Lends virtual hosts. Those of `TEST_RABBITMQ_URL` are made by the management plugin, on its usual
 * port.
 */
export function lentRabbitmq(run: string): Promise<LentServer> {
  const given = process.env.TEST_RABBITMQ_URL;
  return Promise.resolve(given === undefined ? ofOwnServers() : ofServerAt(given, run));
}

function ofOwnServers(): LentServer {
  const servers: Promise<PrivateServer>[] = [];
  let lent = 0;
  return {
    async lend() {
      const index = lent++ % VHOSTS;
      const name = `test${index}`;
      if (index === 0) servers.push(startRabbitmq({ vhosts: vhosts() }));
      const { port } = await servers.at(-1)!;
      const free = (): Promise<void> => Promise.resolve();
      return { name, url: withPath(rabbitmqUrl(port), name), port, free };
    },
    async stop() {
      for (const server of await Promise.allSettled(servers))
        if (server.status === 'fulfilled') await server.value.stop();
    },
  };
}

function vhosts(): string[] {
  return Array.from({ length: VHOSTS }, (_, index) => `test${index}`);
}

function ofServerAt(url: string, run: string): LentServer {
  const { hostname, username, password } = new URL(url);
  const login = Buffer.from(`${username || 'guest'}:${password || 'guest'}`).toString('base64');
  const manage = async (method: string, vhost: string): Promise<void> => {
    const management = `http://${hostname}:15672/api/vhosts/${vhost}`;
    const response = await fetch(management, {
      method,
      headers: { authorization: `Basic ${login}` },
    });
    if (!response.ok)
      throw new Error(`The management of TEST_RABBITMQ_URL answered ${response.status}.`);
  };
  const nextName = names(run);
  return {
    async lend() {
      const name = nextName();
      await manage('PUT', name);
      return {
        name,
        url: withPath(url, name),
        port: portOf(url, 5672),
        free: () => manage('DELETE', name),
      };
    },
    stop: () => Promise.resolve(),
  };
}
