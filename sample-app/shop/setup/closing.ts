import type { Server } from 'node:net';
import type { INestApplication } from '@nestjs/common';

const LOOKS_EVERY_MS = 500;
/** How long a shutdown waits for the servers that the shop uses. */
const PATIENCE_MS = 10_000;

/**
 * Finishes running requests, then closes the shop's connections. If a database hangs, the process
 * ends after a while without waiting for it.
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
