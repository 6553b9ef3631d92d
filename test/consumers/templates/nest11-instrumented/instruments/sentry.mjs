import * as Sentry from '@sentry/nestjs';
import { optionsFor } from './sentry-options.cjs';

Sentry.init(optionsFor());
