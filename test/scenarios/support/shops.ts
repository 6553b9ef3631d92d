import { playAll, type Finding } from '../../../sample-app/show/demo/scenario.js';
import { scenariosOf } from '../../../sample-app/show/demo/scenarios/index.js';
import { REPORT_CRON } from '../../../sample-app/show/demo/scenarios/reports.js';
import { DATABASE_KINDS, type DatabaseKind } from '../../sample/support/databases.js';
import { openShop, OPENING_MS } from '../../sample/support/shop.js';
import { Servers, type Shop } from './servers.js';

const scenariosFor = ({ records }: Shop) =>
  scenariosOf(records === 'Redis' ? { REDIS_URL: 'redis://there' } : {});

/** What the demo lets happen to a shop on the embedded database, on servers. */
export function describeShops(given: Record<DatabaseKind['type'], readonly Shop[]>): void {
  describe.each(DATABASE_KINDS)('on $name', (kind) => {
    const shops = given[kind.type].map((shop) => ({ ...shop, scenarios: scenariosFor(shop) }));
    let findings: Finding[][] = [];

    beforeAll(async () => {
      const servers = new Servers(kind);
      try {
        findings = await Promise.all(shops.map((shop) => playOn(servers, shop)));
      } finally {
        await servers.stop();
      }
    }, 2 * OPENING_MS);

    describe.each(shops)('with records in $records, on $http', (shop) => {
      it.each(shop.scenarios)('$id: $title', (scenario) => {
        const own = findings[shops.indexOf(shop)]?.find((finding) => finding.scenario === scenario);
        expect(own).toMatchObject({ faults: [] });
      });
    });
  });
}

async function playOn(
  servers: Servers,
  shop: Shop & { scenarios: ReturnType<typeof scenariosFor> },
): Promise<Finding[]> {
  const open = await openShop({
    HTTP: shop.http,
    REPORT_CRON,
    ...(await servers.environment(shop)),
  });
  try {
    return await playAll(shop.scenarios, open.url);
  } finally {
    await open.stop();
  }
}
