import { describeHostileReplies } from './support/hostile-replies.js';

describeHostileReplies('later', 'in Redis', 'in PostgreSQL');
