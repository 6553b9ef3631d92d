import { describeTimeline } from './timeline.js';

describeTimeline('express');
