import { buildLibrary, buildSample, install, runCompiled } from './setup.mjs';

install();
await buildLibrary();
await buildSample();
await runCompiled('sample-app', 'main.js');
