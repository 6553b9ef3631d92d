import { SERVERS } from '../processes/support/servers.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { SEED } from '../support/seed.js';
import { disturb } from './paused-processes.js';

const DISTURBANCES = { seed: SEED, processes: 4, times: 120 };

describe.each(SERVERS)(
  `processes over $name that stand still for long, with seed ${SEED}`,
  (kind) => {
    let server: PrivateServer;

    beforeAll(async () => {
      server = await kind.start();
    }, 120_000);

    afterAll(() => server?.stop());

    it('give every caller of an operation the one reply, with the steps that were done for it', async () => {
      const given = { server: kind.name, port: server.port };
      const { violations, values, pauses } = await disturb(given, DISTURBANCES);
      expect(violations).toEqual([]);
      expect(values.size).toBeGreaterThan(40);
      expect(pauses).toBeGreaterThan(DISTURBANCES.times / 2);
    }, 480_000);
  },
);
