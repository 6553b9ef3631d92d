const Sentry = require('@sentry/nestjs');
const { optionsFor } = require('./sentry-options.cjs');

Sentry.init(optionsFor());
