import { Random } from '../../support/random.js';

/** A message of a storm, the same at each delivery. */
export interface StormMessage {
  readonly id: string;
  /** It fails always. */
  readonly isPoison: boolean;
}

export interface StormPlan {
  readonly messages: readonly StormMessage[];
  /** What the producer sends: each message, some of them again, in any order. */
  readonly deliveries: readonly StormMessage[];
}

const REDELIVERED = 0.2;
const POISON = 0.05;

export function planOf(count: number, random: Random): StormPlan {
  const messages = Array.from({ length: count }, (_, index) => ({
    id: `message ${index}`,
    isPoison: random.isBelow(POISON),
  }));
  const again = messages.filter(() => random.isBelow(REDELIVERED));
  const deliveries = [...messages, ...again];
  for (let last = deliveries.length - 1; last > 0; last--) {
    const other = random.between(0, last + 1);
    [deliveries[last], deliveries[other]] = [deliveries[other]!, deliveries[last]!];
  }
  return { messages, deliveries };
}
