import { fileURLToPath } from 'node:url';
import {
  START_MS,
  startShop,
  type ShopProcess,
} from '../../../sample-app/show/demo/shop-process.js';
import { sharedPostgres } from '../../support/servers/shared.js';
import { bundledShop } from './bundled-shop.js';
import { withPreparedDatabase } from './prepared-database.js';

const compiled = (file: string): string =>
  fileURLToPath(new URL(`../../../dist/sample-app/${file}`, import.meta.url));

/** The compiled sample app and its demo, as `npm test` builds them before the tests. */
export const MAIN = compiled('main.js');
export const DEMO = compiled('show/demo/demo.js');

/** For hooks that open a shop: a little more than a shop may take, so that none is left behind. */
export const OPENING_MS = START_MS + 5_000;

/** Reports are counted among the effects: unless a test wants them, there are none. */
const REPORT_CRON = '0 0 29 2 *';

export async function openShop(env: NodeJS.ProcessEnv): Promise<ShopProcess> {
  // What is loaded first changes packages, and a bundle has copies of its own.
  const main = env.NODE_OPTIONS === undefined ? await bundledShop(MAIN) : MAIN;
  const prepared = env.DATABASE_URL === undefined ? await withPreparedDatabase() : {};
  return startShop(main, { REPORT_CRON, ...prepared, ...env });
}

/** As a person opens it: file by file, and with a database that is made first. */
export const openShopAnew = (env: NodeJS.ProcessEnv): Promise<ShopProcess> =>
  startShop(MAIN, { REPORT_CRON, ...env });

/** On a database of the run's PostgreSQL, where it does not matter which: that opens in half the time. */
export async function openShopOnServer(env: NodeJS.ProcessEnv): Promise<ShopProcess> {
  const { url, stop } = await sharedPostgres();
  const shop = await openShop({ DATABASE_URL: url, ...env });
  return {
    ...shop,
    stop: async (signal) => {
      const code = await shop.stop(signal);
      await stop();
      return code;
    },
  };
}
