import {
  Controller,
  Header,
  Injectable,
  type NestMiddleware,
  Post,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { gzipSync } from 'node:zlib';
import { boot, expectProblem, expectReplay, PLATFORMS, type TestApp } from '../support/http.js';

const TEXT = JSON.stringify({ paid: 100 });
let gate: Gate;
let runs = 0;

@Injectable()
class Surroundings implements NestMiddleware {
  use(
    _request: unknown,
    response: { setHeader(name: string, value: string): void },
    next: () => void,
  ) {
    response.setHeader('X-Trace', `trace ${runs}`);
    next();
  }
}

@Controller()
class Payments {
  @Idempotent()
  @Header('Content-Encoding', 'gzip')
  @Header('Content-Type', 'application/json')
  @Post('packed')
  async packed(): Promise<StreamableFile> {
    runs += 1;
    await gate.pass();
    return new StreamableFile(gzipSync(TEXT), { type: 'application/json' });
  }

  @Header('X-Run', () => `run ${(runs += 1)}`)
  @Header('Cache-Control', 'max-age=60')
  @Idempotent()
  @Post('counted')
  counted(): unknown {
    return { paid: true };
  }

  @Idempotent({ scope: 'payments', fingerprint: false })
  @Header('X-Kind', 'old')
  @Header('X-Old', 'yes')
  @Post('old')
  old(): unknown {
    return { paid: 'old' };
  }

  @Idempotent({ scope: 'payments', fingerprint: false })
  @Header('X-Kind', 'new')
  @Header('X-New', 'yes')
  @Post('new')
  new(): unknown {
    return { paid: 'new' };
  }

  @Idempotent()
  @Header('Access-Control-Allow-Origin', '*')
  @Post('public')
  public(): unknown {
    return { paid: true };
  }

  @Idempotent()
  @Header('X-Taken-Back', 'yes')
  @Post('taken-back')
  takenBack(@Res({ passthrough: true }) response: { removeHeader(name: string): void }): unknown {
    response.removeHeader('X-Taken-Back');
    return { paid: true };
  }
}

describe.each(PLATFORMS)('headers that decorators declare on %s', (platform) => {
  let test: TestApp;

  beforeEach(async () => {
    runs = 0;
    gate = new Gate();
    gate.open();
    test = await boot(platform, {
      controllers: [Payments],
      configure: (app) => {
        const surroundings = new Surroundings();
        app.use(surroundings.use.bind(surroundings));
      },
    });
  });
  afterEach(() => test.close());

  it('are recorded: a client that cannot unpack the reply gets it unpacked', async () => {
    const headers = { 'accept-encoding': 'gzip' };
    const first = await test.send('/packed', { key: 'k', headers });
    expect(first.headers['content-encoding']).toBe('gzip');
    const same = await test.send('/packed', { key: 'k', headers });
    expect(same.bytes).toEqual(first.bytes);
    expect(same.headers['content-encoding']).toBe('gzip');
    const plain = await test.send('/packed', {
      key: 'k',
      headers: { 'accept-encoding': 'identity' },
    });
    expect(plain.text).toBe(TEXT);
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.headers['content-type']).toMatch('application/json');
    expect(runs).toBe(1);
  });

  it('let scripts of other origins read replays and refusals too', async () => {
    const first = await test.send('/public', { key: 'k' });
    const replay = await test.send('/public', { key: 'k' });
    const refusal = await test.send('/public', { key: 'k', body: { other: 'content' } });
    expect([first.status, replay.status, refusal.status]).toEqual([201, 201, 422]);
    for (const { headers } of [first, replay, refusal])
      expect(headers['access-control-allow-origin']).toBe('*');
    expect(replay.headers['access-control-expose-headers']).toBe('Idempotent-Replayed');
    expect(refusal.headers['access-control-expose-headers']).toBe('Idempotency-Error');
  });

  it('are not on a refusal, which is no reply of the handler', async () => {
    gate = new Gate();
    const first = test.send('/packed', { key: 'k' });
    await gate.reached();
    const refused = await test.send('/packed', { key: 'k' });
    expectProblem(refused, 409, 'IDEMPOTENCY_KEY_IN_USE');
    expect(refused.headers['content-encoding']).toBeUndefined();
    gate.open();
    await first;
    await test.send('/counted', { key: 'k' });
    const reused = await test.send('/counted', { key: 'k', body: { other: true } });
    expectProblem(reused, 422, 'IDEMPOTENCY_KEY_REUSED');
    expect(reused.headers['cache-control']).not.toBe('max-age=60');
  });

  it('are those of the first call where a function makes them', async () => {
    const first = await test.send('/counted', { key: 'k' });
    expect(first.headers['x-run']).toBe('run 1');
    const again = await test.send('/counted', { key: 'k' });
    expect(again.headers['x-run']).toBe('run 1');
    expect(again.headers['cache-control']).toBe('max-age=60');
    expect(again.headers['x-trace']).toBe('trace 1');
  });

  it('belong to the handler that ran, not to the one that was called', async () => {
    const { headers } = await test.send('/old', { key: 'k' });
    expect([headers['x-kind'], headers['x-old']]).toEqual(['old', 'yes']);
    const replay = (await test.send('/new', { key: 'k' })).headers;
    expect(replay['idempotent-replayed']).toBe('true');
    expect([replay['x-kind'], replay['x-old'], replay['x-new']]).toEqual(['old', 'yes', undefined]);
  });

  it('stay away from a replay when the handler has taken them back', async () => {
    const first = await test.send('/taken-back', { key: 'k' });
    expect(first.headers['x-taken-back']).toBeUndefined();
    expectReplay(first, await test.send('/taken-back', { key: 'k' }));
  });
});
