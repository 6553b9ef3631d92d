import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ATTRIBUTES } from '../../src/opentelemetry/instruments.js';
import { read, root, tableBelow } from './markdown.js';

const ALERTS = read('docs/dashboards/alerts.yml');
const DASHBOARD = read('docs/dashboards/grafana.json');

/** As OpenTelemetry's exporter for Prometheus names them. */
const SERIES = tableBelow('docs/observability.md', 'OpenTelemetry').map(({ metric, kind }) => {
  const name = metric!.replaceAll('`', '').replaceAll('.', '_');
  return kind === 'counter' ? `${name}_total` : `${name}_seconds_bucket`;
});
const LABELS = Object.values(ATTRIBUTES).map((name) => name.replaceAll('.', '_'));

function used(text: string): string[] {
  return [...new Set(text.match(/\bidempotency_[a-z_]+/g) ?? [])].sort();
}

describe('the rules and the dashboard', () => {
  it.each([
    ['rules', ALERTS],
    ['dashboard', DASHBOARD],
  ])('use metrics and attributes that there are: %s', (_name, text) => {
    const known = new Set([...SERIES, ...LABELS]);
    expect(used(text).filter((name) => !known.has(name))).toEqual([]);
  });

  it('show every metric on the dashboard', () => {
    expect(SERIES.filter((name) => !used(DASHBOARD).includes(name))).toEqual([]);
    expect(JSON.parse(DASHBOARD)).toMatchObject({ title: 'nestjs-idempotency' });
  });

  it('lead from every alarm to a page, and to a command that there is', () => {
    const alerts = ALERTS.split('- alert: ').slice(1);
    expect(alerts.length).toBeGreaterThan(8);
    const commands = read('src/cli/main.ts');
    for (const alert of alerts) {
      const [, page] = /page: (\S+?)(?:#\S+)?$/m.exec(alert) ?? [];
      expect([alert, existsSync(join(root, page ?? 'none'))]).toEqual([alert, true]);
      const [, command] = /command: npx nestjs-idempotency (\w+)/.exec(alert) ?? [];
      expect(commands).toMatch(new RegExp(`^  ${command},$`, 'm'));
      expect(alert).toMatch(/summary: \S/);
    }
  });
});
