import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import { root } from './markdown.js';

/** `src/main.ts` of a program, with each HTTP framework; it prints where it listens. */
export const MAIN = {
  express: mainWith('', 'AppModule'),
  fastify: mainWith(
    "import { FastifyAdapter } from '@nestjs/platform-fastify';",
    'AppModule, new FastifyAdapter()',
  ),
};

function mainWith(imports: string, parameters: string): string {
  return `import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
${imports}
import { AppModule } from './app.module.js';

const app = await NestFactory.create(${parameters});
await app.listen(0, '127.0.0.1');
console.log('at', await app.getUrl());`;
}

/** What the programs import beside the library. */
const PACKAGES = ['@nestjs', 'ioredis', 'reflect-metadata', 'typeorm'];

/** A program that the documents show, as somebody would have it who has copied its files. */
export class Program {
  private readonly folder = mkdtempSync(join(tmpdir(), 'idempotency-docs-'));
  private child: ChildProcess | undefined;

  /** @param files TypeScript by path, such as `src/app.module.ts` */
  constructor(files: Readonly<Record<string, string>>) {
    if (!existsSync(join(root, 'dist/esm/index.js')))
      throw new Error('dist is missing: run "npm run build" first ("npm test" does).');
    mkdirSync(join(this.folder, 'node_modules'));
    this.link('nestjs-idempotency', root);
    for (const name of PACKAGES) this.link(name, join(root, 'node_modules', name));
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ type: 'module' }));
    for (const [file, code] of Object.entries(files)) this.write(file, code);
  }

  /** Resolves with the address once it listens. */
  async start(environment: NodeJS.ProcessEnv = {}): Promise<string> {
    const child = spawn(process.execPath, ['src/main.js'], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'development', NODE_OPTIONS: '', ...environment },
    });
    this.child = child;
    const output: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => output.push(String(chunk)));
    return new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        output.push(line);
        const found = /^at (\S+)$/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
      child.on('exit', () => reject(new Error(`The program ended:\n${output.join('\n')}`)));
    });
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, 'exit');
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  private link(name: string, target: string): void {
    symlinkSync(target, join(this.folder, 'node_modules', name), 'junction');
  }

  private write(file: string, code: string): void {
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      },
    });
    const path = join(this.folder, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, outputText);
  }
}

export interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: string;
}

export interface Reply {
  readonly status: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Reads a `curl` command as the documents show it. */
export function parseCall(command: string): Call {
  return {
    path: /http:\/\/localhost:3000(\S+)/.exec(command)?.[1] ?? '',
    headers: headersOf([...command.matchAll(/-H '([^']+)'/g)].map(([, header]) => header!)),
    data: /-d '([^']+)'/.exec(command)?.[1] ?? '',
  };
}

/** Names of headers do not depend on case (RFC 9110, section 5.1). */
export function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}

/** Headers that the documents leave out, because every reply of the server has them. */
const LEFT_OUT = ['connection', 'date', 'etag', 'keep-alive', 'x-powered-by'];

export function send(url: string, { path, headers, data }: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, url), { method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { httpVersion, statusCode, statusMessage, headers: received } = response;
        const shown = Object.entries(received).filter(([name]) => !LEFT_OUT.includes(name));
        resolve({
          status: `HTTP/${httpVersion} ${statusCode} ${statusMessage}`,
          headers: Object.fromEntries(shown.map(([name, value]) => [name, String(value)])),
          body: Buffer.concat(chunks).toString(),
        });
      });
    });
    sent.on('error', reject);
    sent.end(data);
  });
}
