import 'reflect-metadata';
import '../effects/count-effects.js';
import { NestFactory } from '@nestjs/core';
import { readConfig } from '../../shop/setup/config.js';
import { Timeline } from '../timeline/timeline.js';
import { WorkerAppModule } from './worker-app.module.js';
import type { WorkerMessage } from './worker-message.js';

// However the shop that has started it ends: the worker ends with it, and does not tidy up.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const tell = (message: WorkerMessage): void => void process.send?.(message);

const app = await NestFactory.create(WorkerAppModule.for(readConfig()), {
  logger: ['warn', 'error', 'fatal'],
});
app.get(Timeline).entries$.subscribe((entry) => tell({ entry }));
await app.listen(0, '127.0.0.1');
tell({ url: await app.getUrl() });
