import type { IncomingRequest } from '../../keys/call.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';

/** The metadata that `@Tool()` of `@rekog/mcp-nest` leaves on a method. */
const TOOL = 'mcp:tool';

/** True for a tool without `readOnlyHint: true`. By MCP's default, it changes something. */
export function isChangingTool(method: object): boolean {
  const tool = Reflect.getMetadata(TOOL, method) as
    { readonly annotations?: { readonly readOnlyHint?: boolean } } | undefined;
  return tool !== undefined && tool.annotations?.readOnlyHint !== true;
}

/**
 * The context that `@rekog/mcp-nest` passes to its handlers, told by its members. Its raw request is
 * the one of HTTP; over stdio there is none.
 */
interface McpContext {
  readonly mcpRequest: {
    readonly method?: string;
    readonly params?: { readonly _meta?: unknown };
  };
  getRawRequest(): IncomingRequest | undefined;
}

export function isMcp(context: unknown): context is McpContext {
  return (
    typeof context === 'object' &&
    context !== null &&
    'mcpRequest' in context &&
    typeof (context as Partial<McpContext>).getRawRequest === 'function'
  );
}

/** True for a call of a tool. Prompts and resources have no results that say what went wrong. */
export function isToolCall(context: unknown): boolean {
  return isMcp(context) && context.mcpRequest.method === 'tools/call';
}

/**
 * What is known about a call of a tool besides its arguments: what the client has put into `_meta`, and
 * the headers of its HTTP request. The headers count where both have a name, because they tell callers
 * apart.
 */
export function mcpHeaders(context: McpContext): Record<string, unknown> {
  const meta = context.mcpRequest.params?._meta;
  return { ...(typeof meta === 'object' ? meta : undefined), ...context.getRawRequest()?.headers };
}

/** Who is calling, where guards of HTTP put it. */
export function mcpUser(context: unknown): IncomingRequest['user'] {
  return isMcp(context) ? context.getRawRequest()?.user : undefined;
}

/** What a tool answers in place of its result (MCP, "Tool execution errors"). */
interface ToolRefusal {
  readonly isError: true;
  readonly content: readonly [{ readonly type: 'text'; readonly text: string }];
  readonly structuredContent: Readonly<Record<string, string | number | boolean>>;
}

/** The error of a tool that has answered with one, in place of throwing it (MCP, "Tool execution errors"). */
export function toolFailure(result: unknown): Error | undefined {
  const { isError, content } = (result ?? {}) as { isError?: unknown; content?: unknown };
  if (isError !== true) return undefined;
  const parts = Array.isArray(content) ? (content as readonly { text?: unknown }[]) : [];
  const texts = parts.flatMap((part) => (typeof part?.text === 'string' ? part.text : []));
  return Object.assign(new Error(texts.join('\n')), { name: 'ToolExecutionError' });
}

/** A refusal that an agent can act on: in words, and as data. */
export function toolRefusal(refusal: IdempotencyException): ToolRefusal {
  const { code, problem, retryable, retryAfterSeconds } = refusal;
  const waits = retryable && retryAfterSeconds !== undefined;
  const retryAfterMs = waits ? retryAfterSeconds * 1000 : undefined;
  const next = waits
    ? ` Wait ${retryAfterMs} ms, then call the tool again with the same arguments.`
    : retryable
      ? ' Call the tool again later with the same arguments.'
      : '';
  return {
    isError: true,
    content: [{ type: 'text', text: `${problem.title} (${code}). ${problem.detail}${next}` }],
    structuredContent: { ...problem, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  };
}
