import { Controller, HostParam, Param, Post, Version, VersioningType } from '@nestjs/common';
import type { INestApplication, VersioningOptions } from '@nestjs/common';
import { Idempotent, IdempotencyService } from 'nestjs-idempotency';
import { boot, expectProblem, expectReplay, PLATFORMS, type TestApp } from '../support/http.js';

let runs = 0;

describe.each(PLATFORMS)('a scope on %s names one place:', (platform) => {
  let test: TestApp | undefined;
  beforeEach(() => {
    runs = 0;
  });
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  describe.each<[string, VersioningOptions, (version: string) => Record<string, string>]>([
    [
      'a header',
      { type: VersioningType.HEADER, header: 'X-Version' },
      (version) => ({ 'X-Version': version }),
    ],
    [
      'the media type',
      { type: VersioningType.MEDIA_TYPE, key: 'v=' },
      (version) => ({ Accept: `application/json;v=${version}` }),
    ],
    [
      'the application’s own way',
      {
        type: VersioningType.CUSTOM,
        extractor: (request) =>
          String((request as { headers: Record<string, string> }).headers['x-own'] ?? ''),
      },
      (version) => ({ 'X-Own': version }),
    ],
  ])('versions by %s', (_, versioning, headersOf) => {
    @Controller('payments')
    class Payments {
      @Version(['1', '2'])
      @Idempotent()
      @Post()
      both(): unknown {
        return { run: ++runs };
      }

      @Version('3')
      @Idempotent()
      @Post()
      third(): unknown {
        return { run: ++runs };
      }
    }

    it('have records of their own, also of one handler', async () => {
      test = await boot(platform, {
        controllers: [Payments],
        configure: (app: INestApplication) => app.enableVersioning(versioning),
      });
      const replies = [];
      for (const version of ['1', '2', '3'])
        replies.push(await test.send('/payments', { key: 'k', headers: headersOf(version) }));
      expect(replies.map((reply) => reply.json())).toEqual([{ run: 1 }, { run: 2 }, { run: 3 }]);
      for (const [index, version] of ['1', '2', '3'].entries())
        expectReplay(
          replies[index]!,
          await test.send('/payments', { key: 'k', headers: headersOf(version) }),
        );
      const scopes = test.app
        .get(IdempotencyService)
        .coverage()
        .flatMap((entry) => entry.scopes);
      expect(scopes).toEqual([
        'POST /payments version 1',
        'POST /payments version 2',
        'POST /payments version 3',
      ]);
    });
  });

  it('hosts of one controller have records of their own', async () => {
    @Controller({ path: 'payments', host: ['eu.shop.test', 'us.shop.test'] })
    class Payments {
      @Idempotent()
      @Post()
      pay(): unknown {
        return { run: ++runs };
      }
    }
    test = await boot(platform, { controllers: [Payments] });
    const eu = { key: 'k', headers: { Host: 'eu.shop.test' } };
    const us = { key: 'k', headers: { Host: 'us.shop.test' } };
    const first = await test.send('/payments', eu);
    expect((await test.send('/payments', us)).json()).toEqual({ run: 2 });
    expectReplay(first, await test.send('/payments', eu));
  });

  it('parameters of the host count as those of the path do', async () => {
    @Controller({ path: 'accounts', host: ':tenant.shop.test' })
    class Accounts {
      @Idempotent()
      @Post(':id')
      change(@HostParam('tenant') tenant: string, @Param('id') id: string): unknown {
        return { run: ++runs, tenant, id };
      }

      @Idempotent({ fingerprint: () => 'same' })
      @Post(':id/same')
      same(@HostParam('tenant') tenant: string): unknown {
        return { run: ++runs, tenant };
      }
    }
    test = await boot(platform, { controllers: [Accounts] });
    const at = (tenant: string) => ({ key: 'k', headers: { Host: `${tenant}.shop.test` } });
    for (const path of ['/accounts/1', '/accounts/1/same']) {
      const first = await test.send(path, at('a'));
      expectReplay(first, await test.send(path, at('a')));
      expectProblem(await test.send(path, at('b')), 422, 'IDEMPOTENCY_KEY_REUSED');
    }
    expectProblem(await test.send('/accounts/2/same', at('a')), 422, 'IDEMPOTENCY_KEY_REUSED');
    expect(runs).toBe(2);
  });
});
