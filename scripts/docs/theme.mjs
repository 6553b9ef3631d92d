import DefaultTheme from 'vitepress/theme';
import { onMounted, watch, nextTick } from 'vue';
import { useData, useRoute } from 'vitepress';

/** Draws the diagrams of a page; only a page that has some loads the program that draws. */
async function draw(isDark) {
  await nextTick();
  const found = [...document.querySelectorAll('pre.mermaid')];
  if (found.length === 0) return;
  const { default: mermaid } = await import('mermaid');
  mermaid.initialize({ startOnLoad: false, theme: isDark ? 'dark' : 'default' });
  await mermaid.run({ nodes: found });
}

export default {
  extends: DefaultTheme,
  setup() {
    const route = useRoute();
    const { isDark } = useData();
    onMounted(() => draw(isDark.value));
    watch(
      () => route.path,
      () => draw(isDark.value),
    );
  },
};
