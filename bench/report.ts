import type { HttpRow } from './http-rounds.js';
import type { InProcessRow } from './in-process-rounds.js';
import { PLATFORMS, SUBJECTS } from './subjects.js';
import type { Summary } from './statistics.js';

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
const IN_PROCESS_HEADINGS = ['', 'ops/s', 'spread', 'µs'];

/** The findings for a person to read. */
export function report(http: readonly HttpRow[], inProcess: readonly InProcessRow[]): string {
  const platforms = PLATFORMS.map((platform) => {
    const rows = http.filter((row) => row.platform === platform);
    return `${platform}\n\n${table(HTTP_HEADINGS, rows.map(httpCells))}`;
  });
  return [
    ...platforms,
    `in process\n\n${table(IN_PROCESS_HEADINGS, inProcess.map(inProcessCells))}`,
  ].join('\n\n');
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

function inProcessCells({ name, perSecond, micros }: InProcessRow): string[] {
  return [name, whole(perSecond.median), spread(perSecond), micros.median.toFixed(2)];
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
