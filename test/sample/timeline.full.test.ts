import { describeTimeline } from './timeline.js';

describeTimeline('fastify');
