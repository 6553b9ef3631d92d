import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { expectCreated } from '../expect.js';
import type { Scenario } from '../scenario.js';
import { json, type Call } from '../visitor.js';

export const transfers: readonly Scenario[] = [
  {
    id: 'S11',
    title: 'the same serial number from two clients',
    route: 'POST /transfers',
    table: 'transfers',
    runs: 2,
    async play(visitor) {
      const body = { serialNo: randomUUID(), amount: 12.5 };
      const from = (client: string): Call => ({
        path: '/transfers',
        headers: { 'X-Client-Id': client },
        body,
      });
      const north = [await visitor.send(from('north')), await visitor.send(from('north'))] as const;
      const south = [await visitor.send(from('south')), await visitor.send(from('south'))] as const;
      expectCreated(...north, ...south);
      assert.notEqual(json(south[0]).id, json(north[0]).id, "got another client's reply");
      return [north, south];
    },
  },
];
