// Usage: node sweep.mjs <folder of a run>; started when the run has ended.
import { sweep } from './run-folder.mjs';

sweep(process.argv[2]);
