// Usage: node scripts/build.mjs [library] [sample] [bench]; the library alone by default.
import { buildBench, buildLibrary, buildSample, install } from './setup.mjs';

const parts = { library: buildLibrary, sample: buildSample, bench: buildBench };
const names = process.argv.length > 2 ? process.argv.slice(2) : ['library'];

install();
for (const name of names) {
  if (!Object.hasOwn(parts, name)) {
    console.error(`Unknown part "${name}". Known parts: ${Object.keys(parts).join(', ')}.`);
    process.exit(1);
  }
  await parts[name]();
}
