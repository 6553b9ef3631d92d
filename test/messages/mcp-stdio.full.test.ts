import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ChildProgram } from '../support/child-program.js';

it('S22: a tool over stdio does its work once, and its refusals are results', async () => {
  const { file } = await ChildProgram.compile('test/messages/programs/mcp-stdio.ts');
  const client = new Client({ name: 'agent', version: '1.0.0' });
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [file] }));
  try {
    const pay = (amount: number): Promise<unknown> =>
      client.callTool({ name: 'pay', arguments: { orderNo: 'a', amount } });
    const first = await pay(5);
    expect(JSON.stringify(first)).toContain('run');
    expect(await pay(5)).toEqual(first);
    expect(await pay(6)).toMatchObject({
      isError: true,
      structuredContent: { code: 'IDEMPOTENCY_KEY_REUSED', retryable: false },
    });
  } finally {
    await client.close();
  }
}, 60_000);
