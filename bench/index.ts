import { httpRounds } from './http-rounds.js';
import { inProcessRounds } from './in-process-rounds.js';
import { readOptions } from './options.js';
import { report } from './report.js';

const { rounds, seconds, json } = readOptions(process.argv.slice(2));
const progress = (round: number): void =>
  console.error(round === 0 ? 'Warming up …' : `Round ${round} of ${rounds} …`);

const http = await httpRounds(rounds, seconds, progress);
console.error('In process …');
const inProcess = await inProcessRounds(rounds, seconds / 10);
console.log(json ? JSON.stringify({ http, inProcess }) : `\n${report(http, inProcess)}`);
