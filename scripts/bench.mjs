import { buildBench, buildLibrary, install, runCompiled } from './setup.mjs';

install();
await buildLibrary();
await buildBench();
await runCompiled('bench', 'index.js');
