import { buildLibrary, buildSample, install, runCompiled } from './setup.mjs';

install();
await buildLibrary();
await buildSample();
await runCompiled('sample-app', 'show', 'demo', 'demo.js');
