import type { Finding } from './scenario.js';

const HEADINGS = ['scenario', 'sent', 'ran', 'rows', 'replies identical', 'verdict'];

/** The findings for a person to read: one line each, under a title. */
export function table(title: string, findings: readonly Finding[]): string {
  const lines = [HEADINGS, ...findings.map(cells)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [title, rule, text[0], rule, ...text.slice(1), rule].join('\n');
}

function cells({ scenario, sent, ran, rows, identical, faults }: Finding): string[] {
  return [
    `${scenario.id.padEnd(4)} ${scenario.title}`,
    String(sent),
    `${ran} of ${scenario.runs}`,
    rows === undefined ? '–' : String(rows),
    identical === undefined ? '–' : identical ? 'yes' : 'NO',
    faults.length === 0 ? 'good' : `FAILED: ${faults.join('; ')}`,
  ];
}
