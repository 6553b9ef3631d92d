import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Headers, HttpStatus, Param, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { ProblemException } from '../../shop/common/problems/problems.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
};

interface PageFile {
  readonly type: string;
  readonly text: string;
  readonly tag: string;
}

/** What the replies of Express and Fastify have in common. */
interface Response {
  header(name: string, value: string): unknown;
  status(code: number): unknown;
}

/** The page: files that are read once, so that no request can ask for any other. */
@Controller()
@ApiExcludeController()
export class PageController {
  private readonly files = new Map([...ownFiles(), ['client.js', fileAt(clientPath())]]);

  @Get()
  index(@Res({ passthrough: true }) response: Response, @Headers('if-none-match') tag?: string) {
    return this.send('index.html', response, tag);
  }

  /** The library's client, as it is published. */
  @Get('client.js')
  client(@Res({ passthrough: true }) response: Response, @Headers('if-none-match') tag?: string) {
    return this.send('client.js', response, tag);
  }

  @Get('page/:file')
  file(
    @Param('file') name: string,
    @Res({ passthrough: true }) response: Response,
    @Headers('if-none-match') tag?: string,
  ) {
    return this.send(name, response, tag);
  }

  private send(name: string, response: Response, knownTag?: string): string {
    const file = this.files.get(name);
    if (!file) throw new ProblemException(HttpStatus.NOT_FOUND, 'There is no such file.');
    response.header('Content-Type', file.type);
    response.header('ETag', file.tag);
    // Kept, and asked for again: a page must not meet modules of another version.
    response.header('Cache-Control', 'no-cache');
    response.header('X-Content-Type-Options', 'nosniff');
    response.header('Content-Security-Policy', "default-src 'self'");
    if (knownTag !== file.tag) return file.text;
    response.status(HttpStatus.NOT_MODIFIED);
    return '';
  }
}

function ownFiles(): [name: string, file: PageFile][] {
  const folder = fileURLToPath(new URL('assets', import.meta.url));
  return readdirSync(folder).map((name) => [name, fileAt(join(folder, name))]);
}

function clientPath(): string {
  const { resolve } = createRequire(import.meta.url);
  return join(dirname(resolve('nestjs-idempotency/package.json')), 'dist/browser/client.js');
}

function fileAt(path: string): PageFile {
  const text = readFileSync(path, 'utf8');
  const tag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 16)}"`;
  return { type: TYPES[extname(path)]!, text, tag };
}
