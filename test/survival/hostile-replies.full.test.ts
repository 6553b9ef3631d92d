import { describeHostileReplies } from './support/hostile-replies.js';

describeHostileReplies('at once', 'in a transaction', 'in Redis', 'in PostgreSQL');
