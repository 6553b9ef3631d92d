import { describeHostileReplies } from './support/hostile-replies.js';

describeHostileReplies('later');
