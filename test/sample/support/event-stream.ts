import type { TimelineEntry } from '../../../sample-app/show/timeline/timeline-entry.js';
import { eventually } from '../../support/http.js';

interface Heard {
  readonly id: string;
  readonly type: string;
  readonly data: TimelineEntry;
}

/** Listens to the timeline of a shop, as a browser would. */
export class EventStream {
  /** All that came, as it came. */
  text = '';

  private constructor(private readonly connection: AbortController) {}

  /** Resolves when the shop has said hello. */
  static async listen(url: string, lastEventId?: string): Promise<EventStream> {
    const connection = new AbortController();
    const headers: Record<string, string> =
      lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
    const { body } = await fetch(new URL('/timeline', url), { headers, signal: connection.signal });
    const stream = new EventStream(connection);
    void stream.read(body!);
    await eventually(() => stream.text.includes('event: hello'));
    return stream;
  }

  /** What came, without the hello. */
  get heard(): Heard[] {
    return this.text
      .split('\n\n')
      .filter((event) => event.includes('event: entry'))
      .map((event) => {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(event)![1]!;
        return { id: field('id'), type: field('event'), data: JSON.parse(field('data')) };
      });
  }

  get entries(): TimelineEntry[] {
    return this.heard.map(({ data }) => data);
  }

  /** The entries of one request, when it has ended. */
  async request(requestId: string): Promise<TimelineEntry[]> {
    const ofRequest = () => {
      const isStart = (entry: TimelineEntry) =>
        entry.entry === 'started' && entry.requestId === requestId;
      const start = this.entries.find(isStart);
      return this.entries.filter(({ call }) => call === start?.call);
    };
    await eventually(() => ofRequest().some(({ entry }) => entry === 'ended'));
    return ofRequest();
  }

  close(): void {
    this.connection.abort();
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body) this.text += decoder.decode(chunk, { stream: true });
    } catch {
      // Closed, from this side or the other.
    }
  }
}
