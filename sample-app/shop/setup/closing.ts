import type { Server } from 'node:net';
import type { INestApplication } from '@nestjs/common';

const LOOKS_EVERY_MS = 500;
/** How long the servers that the shop uses are waited for when nobody waits for the shop any more. */
const PATIENCE_MS = 10_000;

/**
 * Finishes what was asked of the shop, then closes its own connections. A database that stands still
 * never says goodbye: after a while the process ends without that.
 */
export function closeSoon(app: INestApplication): void {
  const server = app.getHttpServer() as Server;
  let quietSinceMs = Date.now();
  const look = (): void =>
    void server.getConnections((_error, connections) => {
      if (connections > 0) quietSinceMs = Date.now();
      else if (Date.now() - quietSinceMs > PATIENCE_MS) process.exit();
    });
  setInterval(look, LOOKS_EVERY_MS).unref();
  void app.close();
}
