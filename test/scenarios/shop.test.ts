import { playAll, type Finding } from '../../sample-app/show/demo/scenario.js';
import { scenariosOf } from '../../sample-app/show/demo/scenarios/index.js';
import { REPORT_CRON } from '../../sample-app/show/demo/scenarios/reports.js';
import { DATABASE_KINDS } from '../sample/support/databases.js';
import { openShop, OPENING_MS } from '../sample/support/shop.js';
import { Servers, type Shop, SHOPS } from './support/servers.js';

const SCENARIOS = new Map(
  SHOPS.map((shop) => [
    shop,
    scenariosOf(shop.records === 'Redis' ? { REDIS_URL: 'redis://there' } : {}),
  ]),
);

// What the demo lets happen to a shop on the embedded database, on servers.
describe.each(DATABASE_KINDS)('on $name', (kind) => {
  let findings: Finding[][] = [];

  beforeAll(async () => {
    const servers = await Servers.start(kind);
    try {
      findings = await Promise.all(SHOPS.map((shop) => playOn(servers, shop)));
    } finally {
      await servers.stop();
    }
  }, 2 * OPENING_MS);

  describe.each(SHOPS)('with records in $records, on $http', (shop) => {
    it.each(SCENARIOS.get(shop)!)('$id: $title', (scenario) => {
      const own = findings[SHOPS.indexOf(shop)]?.find((finding) => finding.scenario === scenario);
      expect(own).toMatchObject({ faults: [] });
    });
  });
});

async function playOn(servers: Servers, shop: Shop): Promise<Finding[]> {
  const open = await openShop({
    HTTP: shop.http,
    REPORT_CRON,
    ...(await servers.environment(shop)),
  });
  try {
    return await playAll(SCENARIOS.get(shop)!, open.url);
  } finally {
    await open.stop();
  }
}
