import { natsUrl, startNats } from '../nats.js';
import { type LentServer, portOf, type Space } from './server.js';

const ACCOUNTS = 200;

/** Lends accounts; of `TEST_NATS_URL` there is one, which one borrower after the other has. */
export async function lentNats(): Promise<LentServer> {
  const given = process.env.TEST_NATS_URL;
  return given === undefined ? ofAccounts() : ofOne(given);
}

async function ofAccounts(): Promise<LentServer> {
  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => `test${index + 1}`);
  const server = await startNats({
    users: accounts.map((name) => ({ user: name, password: name })),
  });
  const { port } = server;
  return {
    lend() {
      const name = accounts.shift();
      if (name === undefined)
        return Promise.reject(new Error('All accounts of the shared NATS are lent.'));
      const url = natsUrl(port).replace('//', `//${name}:${name}@`);
      return Promise.resolve({
        name,
        url,
        port,
        // Who had it has disconnected, and NATS itself keeps nothing.
        free: () => Promise.resolve(void accounts.push(name)),
      });
    },
    stop: () => server.stop(),
  };
}

function ofOne(url: string): LentServer {
  let last: Promise<void> = Promise.resolve();
  return {
    async lend(): Promise<Space> {
      const turn = last;
      let pass = (): void => undefined;
      last = new Promise((resolve) => (pass = resolve));
      await turn;
      const free = (): Promise<void> => Promise.resolve(pass());
      return { name: new URL(url).username, url, port: portOf(url, 4222), free };
    },
    stop: () => Promise.resolve(),
  };
}
