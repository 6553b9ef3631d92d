import { Mutation, Query, Resolver } from '@nestjs/graphql';
import { GraphQLScalarType } from 'graphql';
import { IdempotencyService, Idempotent } from 'nestjs-idempotency';
import { inspect } from 'node:util';
import { boot, type Reply, type TestApp } from '../support/http.js';
import { type Driver, graphqlModule } from './graphql.js';
import { SeenStore } from './in-process.js';
import { type Kind, SECRET, TYPES } from './kinds.js';

/** Scalars that take anything. */
const SCALARS = {
  /** Gives values to the client as they are. */
  Json: new GraphQLScalarType({ name: 'Json', serialize: (value) => value }),
  /** Shows the class of a value and all that is in it, also what JSON does not have. */
  Shown: new GraphQLScalarType({
    name: 'Shown',
    serialize: (value) => inspect(value, { depth: 9 }),
  }),
} as const;

/** Kinds of which the first client gets an error of GraphQL: the work was done. */
const isShown = ({ json }: Reply): boolean => {
  const { errors } = json() as { errors?: unknown };
  return errors === undefined;
};

/** What clients of a driver get of each kind of value, through scalars that take anything. */
export function describeGraphqlTable(driver: Driver, kinds: readonly Kind[]): void {
  describe.each(Object.entries(SCALARS))(`through the scalar %s on ${driver}`, (scalar, type) => {
    const runs = new Map<string, number>();
    const store = new SeenStore();
    let app: TestApp;

    @Resolver()
    class Values {
      [field: string]: () => unknown;

      @Query(() => Boolean)
      isUp(): boolean {
        return true;
      }
    }
    // It shows where in a larger buffer a view begins. Only what is in the view is kept.
    const shown = kinds.filter(({ name }) => scalar === 'Json' || name !== 'DataView');
    shown.forEach(({ make, returns }, index) => {
      const field = `kind${index}`;
      const value = (): unknown => {
        runs.set(field, (runs.get(field) ?? 0) + 1);
        return make();
      };
      const descriptor = { value, configurable: true, writable: true };
      Mutation(() => type, { nullable: true })(Values.prototype, field, descriptor);
      Idempotent({ returns })(Values.prototype, field, descriptor);
      Object.defineProperty(Values.prototype, field, descriptor);
    });

    beforeAll(async () => {
      app = await boot(driver === 'Apollo' ? 'express' : 'fastify', {
        controllers: [],
        imports: [graphqlModule(driver)],
        providers: [Values],
        idempotency: { store, types: TYPES },
      });
    });

    afterAll(() => app?.close());

    test.each(shown.map((kind, index) => [kind.name, kind, `kind${index}`] as const))(
      '%s',
      async (_, kind, field) => {
        app.complaints.splice(0);
        store.replies.splice(0);
        const ask = (): Promise<Reply> =>
          app.send('/graphql', { key: field, body: { query: `mutation { ${field} }` } });
        const first = await ask();
        const second = await ask();
        expect(runs.get(field)).toBe(1);
        const view = await app.app
          .get(IdempotencyService)
          .find({ scope: `Mutation.${field}`, key: field });
        expect(view).toMatchObject({ state: 'completed' });
        if (!first.text.includes(SECRET)) expect(store.contains(SECRET)).toBe(false);
        const warnings = app.complaints.filter((line) => line.includes('not kept'));
        if (second.text === first.text) {
          expect(warnings).toEqual([]);
          return;
        }
        expect(second.text).toContain('IDEMPOTENCY_REPLY_NOT_KEPT');
        expect(warnings).toEqual([expect.stringContaining(`Values.${field}`)]);
        // What its method gets back, a client that could read it gets back as well.
        if (isShown(first) && scalar === 'Json') expect(kind.outcome).toHaveProperty('notKept');
      },
    );
  });
}
