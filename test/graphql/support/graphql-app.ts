import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { boot, bootError, type AppOptions, type TestApp } from '../../support/http.js';

/** Who signs in as `Bearer alice` is alice, as guards of applications do it. */
@Injectable()
export class SignIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { req } = context.getArgByIndex<{ req: SignedIn }>(2);
    const [, name] = /^Bearer (.+)$/.exec(req.headers['authorization'] ?? '') ?? [];
    if (name !== undefined) req.user = { id: name };
    return true;
  }
}

/** A schema needs a query. */
@Resolver()
class Health {
  @Query(() => Boolean)
  isUp(): boolean {
    return true;
  }
}

interface SignedIn {
  readonly headers: Readonly<Record<string, string | undefined>>;
  user?: { id: string };
}

export interface GraphqlOptions extends Pick<AppOptions, 'idempotency' | 'configure'> {
  readonly providers: NonNullable<ModuleMetadata['providers']>;
  /** The schema, where it is not made from the code. */
  readonly typeDefs?: string;
}

export interface AskOptions {
  readonly key?: string;
  readonly user?: string;
}

/** What a client sees of an error. */
export interface ShownError {
  readonly message: string;
  readonly extensions: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly ShownError[];
}

export interface GraphqlApp extends TestApp {
  ask(document: string, options?: AskOptions): Promise<Answer>;
  /** As {@link ask}, for a document that fails with one error. */
  fail(document: string, options?: AskOptions): Promise<ShownError>;
}

/** An application with these resolvers behind Apollo on Express; the caller closes it. */
export async function bootGraphql(options: GraphqlOptions): Promise<GraphqlApp> {
  const app = await boot('express', withGraphql(options));
  const ask: GraphqlApp['ask'] = async (query, { key, user } = {}) => {
    const headers: Record<string, string> =
      user === undefined ? {} : { authorization: `Bearer ${user}` };
    return (await app.send('/graphql', { key, headers, body: { query } })).json() as Answer;
  };
  return {
    ...app,
    ask,
    async fail(document, asked) {
      const { errors } = await ask(document, asked);
      expect(errors).toHaveLength(1);
      return errors![0]!;
    },
  };
}

/** What an application with these resolvers fails to boot with. */
export function bootErrorOf(resolver: Type, more: Partial<GraphqlOptions> = {}): Promise<Error> {
  return bootError('express', withGraphql({ providers: [resolver], ...more }));
}

function withGraphql({ providers, typeDefs, ...options }: GraphqlOptions): AppOptions {
  const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({
    driver: ApolloDriver,
    ...(typeDefs === undefined ? { autoSchemaFile: true } : { typeDefs }),
    includeStacktraceInErrorResponses: false,
    graphiql: false,
    subscriptions: { 'graphql-ws': true },
  });
  return { controllers: [], imports: [graphql], providers: [Health, ...providers], ...options };
}
