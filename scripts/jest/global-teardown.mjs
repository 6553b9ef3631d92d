import { sweep } from './run-folder.mjs';

export default async function tearDown({ watch, watchAll }) {
  const run = globalThis.idempotencyTestRun;
  if (run === undefined || watch || watchAll) return;
  await run.stop();
  sweep(run.folder);
}
