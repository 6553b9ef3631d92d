import type { HttpRow } from './http-rounds.js';
import type { InProcessRow } from './in-process-rounds.js';
import type { Summary } from './statistics.js';
import { PLATFORMS, STORES, type Store, SUBJECTS } from './subjects.js';

const HTTP_HEADINGS = [
  '',
  'req/s',
  'spread',
  'p50 µs',
  'p99 µs',
  'CPU µs',
  '× rate',
  '× CPU',
  'added µs',
];
const IN_PROCESS_HEADINGS = ['', 'ops/s', 'spread', 'CPU µs'];

export interface Findings {
  readonly http: readonly HttpRow[];
  readonly inProcess: readonly InProcessRow[];
  /** What `redis-benchmark` reaches on the same server, in `SET`s per second. */
  readonly redisLimit: Summary | undefined;
}

/** The findings for a person to read. */
export function report(findings: Findings): string {
  return STORES.flatMap((store) => sections(store, findings)).join('\n\n');
}

function sections(store: Store, { http, inProcess, redisLimit }: Findings): string[] {
  const platforms = PLATFORMS.map((platform) => ({
    title: `${store}, ${platform}`,
    rows: http.filter((row) => row.store === store && row.platform === platform).map(httpCells),
  })).filter(({ rows }) => rows.length > 0);
  const own = inProcess.filter((row) => row.store === store).map(inProcessCells);
  if (store === 'redis' && redisLimit !== undefined)
    own.push(['redis-benchmark, SET', whole(redisLimit.median), spread(redisLimit), '']);
  return [
    ...platforms.map(({ title, rows }) => `### ${title}\n\n${table(HTTP_HEADINGS, rows)}`),
    ...(own.length > 0 ? [`### ${store}, in process\n\n${table(IN_PROCESS_HEADINGS, own)}`] : []),
  ];
}

function httpCells(row: HttpRow): string[] {
  return [
    SUBJECTS[row.subject],
    whole(row.perSecond.median),
    spread(row.perSecond),
    whole(row.p50Micros.median),
    whole(row.p99Micros.median),
    row.cpuMicros.median.toFixed(1),
    withRange(row.rateRatio),
    withRange(row.cpuRatio),
    row.addedMicros.median.toFixed(1),
  ];
}

function inProcessCells({ name, perSecond, cpuMicros }: InProcessRow): string[] {
  return [name, whole(perSecond.median), spread(perSecond), cpuMicros.median.toFixed(2)];
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
}

/** How far the rounds lie apart, as a part of their median. */
function spread({ median, min, max }: Summary): string {
  return `±${((50 * (max - min)) / median).toFixed(0)} %`;
}

function withRange({ median, min, max }: Summary): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}

/** As Markdown, so that it can be kept as it is. */
function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, at) => align(cells[at] ?? '', width, at)).join(' | ')} |`;
  const rule = widths.map((width, at) =>
    at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(headings), line(rule), ...rows.map(line)].join('\n');
}

function align(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
