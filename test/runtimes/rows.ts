/** What is tried on each run time. */
export const ROWS = (['express', 'fastify'] as const).flatMap((platform) =>
  (['memory', 'ioredis', 'node-redis', 'PostgreSQL, one commit'] as const).map((store) => ({
    name: `${platform}, ${store}`,
    platform,
    store,
  })),
);

/** What the library is tried on. `docs/compatibility.md` names the same. */
export const RUN_TIMES = [
  'Node 20.19.0',
  'Node 22.23.5',
  'Node 24.22.3',
  'Node 26.12.1',
  'Bun 1.4.5',
  'Deno 2.9.6',
] as const;
