import 'reflect-metadata';
import { closeSoon } from './shop/setup/closing.js';
import { ConfigError, readConfig, type ShopConfig } from './shop/setup/config.js';

try {
  await serve(readConfig());
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exitCode = 1;
}

async function serve(config: ShopConfig): Promise<void> {
  // Imported only after the environment was checked, because decorators depend on it.
  const { createApp } = await import('./show/app.js');
  const app = await createApp(config);
  try {
    await app.listen(config.port, config.host);
  } catch (error) {
    await app.close();
    throw explained(error, config);
  }
  // Only once: a second Ctrl+C does not wait for running requests.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => closeSoon(app));
  console.log(`The shop is open: ${await app.getUrl()} (${config.http})`);
}

function explained(error: unknown, { host, port }: ShopConfig): unknown {
  const inUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  if (!inUse) return error;
  return new ConfigError(
    `Port ${port} on ${host} is in use. Stop the program that uses it, or choose another: PORT=${port + 1} npm start`,
  );
}
