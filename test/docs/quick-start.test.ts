import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import { codeBlocks, root } from './markdown.js';

const [program] = codeBlocks('README.md', 'ts');
const calls = codeBlocks('README.md', 'console').map(({ code }) => parseCall(code));

/** The program of the README, as each HTTP framework is given to Nest. */
const PROGRAMS = {
  express: program!.code,
  fastify: `import { FastifyAdapter } from '@nestjs/platform-fastify';\n${program!.code.replace(
    'NestFactory.create(AppModule)',
    'NestFactory.create(AppModule, new FastifyAdapter())',
  )}`,
};

interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: string;
  readonly reply: Reply;
}

interface Reply {
  readonly status: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A `curl` call with what it prints, as the README shows it. */
function parseCall(text: string): Call {
  const [command = '', status = '', ...rest] = text.split('\n');
  const end = rest.indexOf('');
  return {
    path: /http:\/\/localhost:3000(\S+)/.exec(command)?.[1] ?? '',
    headers: headersOf([...command.matchAll(/-H '([^']+)'/g)].map(([, header]) => header!)),
    data: /-d '([^']+)'/.exec(command)?.[1] ?? '',
    reply: { status, headers: headersOf(rest.slice(0, end)), body: rest.slice(end + 1).join('\n') },
  };
}

/** Names of headers do not depend on case (RFC 9110, section 5.1). */
function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}

/** Headers that the README leaves out, because every reply of the server has them. */
const LEFT_OUT = ['connection', 'date', 'etag', 'keep-alive', 'x-powered-by'];

function send(url: string, { path, headers, data }: Call): Promise<Reply> {
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

/** A project that has the built library under its name, and the peers. */
function project(code: string): string {
  if (!existsSync(join(root, 'dist/esm/index.js')))
    throw new Error('dist is missing: run "npm run build" first ("npm test" does).');
  const folder = mkdtempSync(join(tmpdir(), 'idempotency-quick-start-'));
  mkdirSync(join(folder, 'node_modules'));
  for (const name of ['@nestjs', 'reflect-metadata'])
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction');
  symlinkSync(root, join(folder, 'node_modules', 'nestjs-idempotency'), 'junction');
  const compiled = ts.transpileModule(
    `${code.replace('listen(3000)', "listen(0, '127.0.0.1')")}\nconsole.log('at', await app.getUrl());`,
    {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
      },
    },
  );
  writeFileSync(join(folder, 'main.mjs'), compiled.outputText);
  return folder;
}

function start(folder: string): { child: ChildProcess; url: Promise<string> } {
  const child = spawn(process.execPath, ['main.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'development', NODE_OPTIONS: '' },
  });
  const output: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => output.push(String(chunk)));
  const url = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      output.push(line);
      const found = /^at (\S+)$/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.on('exit', () => reject(new Error(`The program ended:\n${output.join('\n')}`)));
  });
  return { child, url };
}

describe.each(Object.entries(PROGRAMS))('the program of the README on %s', (_framework, code) => {
  let folder: string;
  let child: ChildProcess;
  let url: string;

  beforeAll(async () => {
    folder = project(code);
    const started = start(folder);
    child = started.child;
    url = await started.url;
  });

  afterAll(() => {
    child?.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  it('answers the calls of the README as shown there', async () => {
    expect(calls).toHaveLength(2);
    for (const call of calls) expect(await send(url, call)).toEqual(call.reply);
  });
});

it('the second call of the README repeats the first and is shown as a replay', () => {
  const [first, second] = calls;
  expect({ ...second, reply: undefined }).toEqual({ ...first, reply: undefined });
  expect(first!.reply.headers['idempotent-replayed']).toBeUndefined();
  expect(second!.reply.headers['idempotent-replayed']).toBe('true');
  expect(second!.reply.body).toBe(first!.reply.body);
});
