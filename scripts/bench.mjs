import { provideServers } from './servers.mjs';
import { buildBench, buildLibrary, install, runCompiled } from './setup.mjs';

process.env.PATH = provideServers();
install();
await buildLibrary();
await buildBench();
await runCompiled('bench', 'index.js');
