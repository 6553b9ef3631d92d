import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { playAll, type Finding } from '../../sample-app/show/demo/scenario.js';
import { scenariosOf } from '../../sample-app/show/demo/scenarios/index.js';
import { REPORT_CRON } from '../../sample-app/show/demo/scenarios/reports.js';
import { withPreparedDatabase } from './support/prepared-database.js';
import { DEMO, openShopOnServer, OPENING_MS } from './support/shop.js';

const SCENARIOS = scenariosOf({});
const FORGETFUL_STORE = new URL('./support/forgetful-store.mjs', import.meta.url).href;

/** Lets every scenario happen to a shop whose records get lost. */
async function playUnprotected(): Promise<Finding[]> {
  const shop = await openShopOnServer({
    STORE: 'memory',
    REPORT_CRON,
    NODE_OPTIONS: `--import ${FORGETFUL_STORE}`,
  });
  try {
    return await playAll(SCENARIOS, shop.url);
  } finally {
    await shop.stop();
  }
}

async function runDemo(): Promise<{ code: number | null; output: string }> {
  const env = { ...process.env, ...(await withPreparedDatabase()) };
  const demo = spawn(process.execPath, [DEMO], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [output, [code]] = await Promise.all([text(demo.stdout), once(demo, 'exit')]);
  return { code, output };
}

describe('the demo', () => {
  let demo: Awaited<ReturnType<typeof runDemo>>;
  let unprotected: Finding[];

  beforeAll(async () => {
    // Both at once: each waits ten seconds for the window of the comments to pass.
    [demo, unprotected] = await Promise.all([runDemo(), playUnprotected()]);
  }, 2 * OPENING_MS);

  it('finds every verdict good on both adapters and exits with 0', () => {
    const verdicts = demo.output.match(/^S\d.*$/gm) ?? [];
    expect(verdicts.filter((verdict) => !verdict.endsWith(' good'))).toEqual([]);
    expect(verdicts).toHaveLength(SCENARIOS.length * 2);
    expect(demo.output).toContain('Every verdict is good.');
    expect(demo.code).toBe(0);
  });

  /** A state that is reached once, a unique index, no queue at all, and a single shop. */
  it('finds no verdict good when nothing is remembered, but where records have no part', () => {
    const good = unprotected.filter(({ faults }) => faults.length === 0);
    expect(good.map(({ scenario }) => scenario.id)).toEqual(['S4', 'S7', 'S15', 'S16']);
  });
});
