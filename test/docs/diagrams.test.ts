import { codeBlocks } from './markdown.js';

const PAGE = 'docs/how-it-works.md';

/** Text ends at `;`, `#` begins an entity, and `end` ends a block: Mermaid finds them anywhere. */
const TEXT = /(?:(?!\bend\b)[^;#])+/.source;
const MESSAGE = new RegExp(`^(\\w+)(?:->>|-->>|-x|--x)(\\w+): ${TEXT}$`);
const NOTE = new RegExp(`^Note over (\\w+)(?:,(\\w+))?: ${TEXT}$`);
const PARTICIPANT = /^participant (\w+)(?: as \S.*)?$/;
const OPENING = /^(?:alt|loop|opt) \S.*$/;

/** What is wrong with a sequence diagram of Mermaid, as far as this page uses its language. */
function faults(diagram: string): string[] {
  const found: string[] = [];
  const declared = new Set<string>();
  let open = 0;
  const [kind, ...lines] = diagram.split('\n').map((line) => line.trim());
  if (kind !== 'sequenceDiagram') found.push(`begins with ${kind}`);
  for (const line of lines) {
    const participant = PARTICIPANT.exec(line)?.[1];
    const named = MESSAGE.exec(line) ?? NOTE.exec(line);
    if (participant !== undefined) declared.add(participant);
    else if (named !== null) {
      const unknown = named.slice(1).filter((name) => name !== undefined && !declared.has(name));
      found.push(...unknown.map((name) => `${name} is not declared: ${line}`));
    } else if (OPENING.test(line)) open += 1;
    else if (line === 'end') open -= 1;
    else if (!/^else \S/.test(line)) found.push(`not understood: ${line}`);
  }
  if (open !== 0) found.push(`${open} blocks are not closed`);
  return found;
}

describe('the drawings of how it works', () => {
  const diagrams = codeBlocks(PAGE, 'mermaid');
  const sequences = diagrams.filter(({ code }) => !code.startsWith('stateDiagram'));

  it('are one for every case', () => {
    expect(sequences).toHaveLength(12);
  });

  it.each(sequences.map(({ line, code }) => [line, code] as const))(
    'are well formed in line %i',
    (_line, code) => {
      expect(faults(code)).toEqual([]);
    },
  );

  it('would show a fault', () => {
    expect(
      faults('sequenceDiagram\nparticipant A\nA->B: x\nA->>C: y\nA->>A: the end\nloop z'),
    ).toEqual([
      'not understood: A->B: x',
      'C is not declared: A->>C: y',
      'not understood: A->>A: the end',
      '1 blocks are not closed',
    ]);
  });
});
