import 'reflect-metadata';
import { Controller, Post, Res } from '@nestjs/common';
import type { Response } from 'express';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { openStore, placeFrom } from '../../processes/support/open-store.js';
import { contentDigest, encoded } from '../../support/content-codings.js';
import { boot } from '../../support/http.js';
import { type PackedReady, TEXT } from '../zstd.js';

/** Packs its replies with `zstd`, which is up to the version of Node that runs it. */
const business = await openStore('Redis', placeFrom(process.env.PLACE!));

@Controller()
class Packed {
  @Idempotent()
  @Post('packed')
  async packed(
    @Operation() operation: IdempotentOperation,
    @Res() response: Response,
  ): Promise<void> {
    await business.act(operation.key!);
    const bytes = encoded('zstd', Buffer.from(TEXT));
    response.set({
      'Content-Type': 'text/plain',
      'Content-Encoding': 'zstd',
      'Content-Digest': contentDigest(bytes),
      ETag: '"v1"',
    });
    response.end(bytes);
  }
}

const { port } = await boot('express', {
  controllers: [Packed],
  idempotency: { store: business.store, storeTimeout: '30s' },
});
process.send?.({ port, node: process.version } satisfies PackedReady);
