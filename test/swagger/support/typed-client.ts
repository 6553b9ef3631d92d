import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenAPIObject } from '@nestjs/swagger';
import openapiTypes, { astToString, type OpenAPI3 } from 'openapi-typescript';
import ts from 'typescript';
import { root, run } from '../../package/packed.js';

const OPTIONS: ts.CompilerOptions = {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  types: [],
  skipLibCheck: true,
};

/** What came of a call. */
export interface TypedReply {
  readonly status: number;
  readonly replayed: string | null;
  readonly data?: unknown;
}

/** Programs with a client whose types are generated from a document. */
export class TypedClient {
  private count = 0;

  private constructor(readonly folder: string) {}

  /** Leaves a folder behind for whoever asked to remove. */
  static async of(document: OpenAPIObject): Promise<TypedClient> {
    const folder = mkdtempSync(join(tmpdir(), 'idempotency-typed-client-'));
    mkdirSync(join(folder, 'node_modules'));
    for (const name of ['openapi-fetch', 'openapi-typescript-helpers'])
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction');
    const types = await openapiTypes(document as unknown as OpenAPI3);
    writeFileSync(join(folder, 'shop-api.ts'), astToString(types));
    return new TypedClient(folder);
  }

  /** What TypeScript has against each of the calls. */
  errorsOf(calls: readonly string[]): string[][] {
    const files = calls.map((call) => this.write([call]));
    const program = ts.createProgram(files, OPTIONS);
    return files.map((file) =>
      ts
        .getPreEmitDiagnostics(program, program.getSourceFile(file))
        .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')),
    );
  }

  /** Makes the calls, one after the other, in a process of its own. */
  run(url: string, calls: readonly string[]): TypedReply[] {
    const file = this.write(calls);
    const program = file.replace(/ts$/, 'js');
    const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
      compilerOptions: { ...OPTIONS, module: ts.ModuleKind.ESNext },
    });
    writeFileSync(program, outputText);
    const output = run(process.execPath, [program, url], {
      cwd: this.folder,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    return JSON.parse(output) as TypedReply[];
  }

  private write(calls: readonly string[]): string {
    const file = join(this.folder, `program-${(this.count += 1)}.mts`);
    const made = calls.map((call) => `replies.push(told(await ${call}));`);
    writeFileSync(file, [PROGRAM, ...made, 'console.log(JSON.stringify(replies));'].join('\n'));
    return file;
  }
}

const PROGRAM = `
import createClient from 'openapi-fetch';
import type { paths } from './shop-api.js';

declare const process: { argv: string[] };
const client = createClient<paths>({ baseUrl: process.argv[2] });
const replies: object[] = [];

function told({ data, response }: { data?: unknown; response: Response }): object {
  const replayed = response.headers.get('Idempotent-Replayed');
  return { status: response.status, replayed, data };
}
`;
