import { defineConfig } from 'vitepress';
import { sidebar, version } from './site.mjs';

export default defineConfig({
  title: 'nestjs-idempotency',
  description: 'One decorator that makes any Nest handler safe to retry.',
  srcDir: 'pages',
  outDir: '../docs',
  cacheDir: '.cache',
  cleanUrls: false,
  markdown: {
    // Documents are Markdown only: `<id>` in a sentence is text.
    html: false,
    config(markdown) {
      const fence = markdown.renderer.rules.fence;
      markdown.renderer.rules.fence = (tokens, index, ...rest) => {
        const { info, content } = tokens[index];
        if (info.trim() !== 'mermaid') return fence(tokens, index, ...rest);
        return `<pre class="mermaid" v-pre>${markdown.utils.escapeHtml(content)}</pre>`;
      };
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: { level: [2, 3] },
    nav: [
      { text: 'Start', link: '/docs/start' },
      { text: 'Questions', link: '/docs/questions' },
      { text: 'Reference', link: '/docs/reference' },
      { text: version, link: '/CHANGELOG' },
    ],
    sidebar,
  },
});
