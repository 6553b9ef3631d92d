// These run in the page, each by itself, and name what is wrong.

/** What makes the page wider than its window. */
export function reachesBeyond(): string[] {
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth > clientWidth ? [`${scrollWidth} of ${clientWidth} pixels`] : [];
}

/** Controls that a screen reader has no words for, and landmarks that are alike. */
export function namelessControls(): string[] {
  const labelOf = (element: Element): string => {
    const labelled = element.getAttribute('aria-labelledby')?.split(' ') ?? [];
    const labels = element instanceof HTMLInputElement ? [...(element.labels ?? [])] : [];
    if (element instanceof HTMLSelectElement) labels.push(...element.labels);
    const texts = [
      element.getAttribute('aria-label'),
      ...labelled.map((id) => document.getElementById(id)?.textContent),
      ...labels.map((label) => label.textContent),
      element instanceof HTMLInputElement ? '' : element.textContent,
    ];
    return texts.join(' ').trim();
  };
  const controls = document.querySelectorAll('a, button, input:not([type=hidden]), select, nav');
  const nameless = [...controls].filter((control) => labelOf(control) === '');
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
  const only = ['h1', 'main'].filter((tag) => document.querySelectorAll(tag).length !== 1);
  return [...nameless.map(({ outerHTML }) => outerHTML), ...twice, ...only];
}

/** Controls that the Tab key passes by. Of the bars one alone is in its way: arrows lead to the rest. */
export function skippedControls(): string[] {
  const controls = document.querySelectorAll<HTMLElement>('a, button, input, select, [role]');
  return [...controls]
    .filter((control) => control.checkVisibility() && !control.matches('.call'))
    .filter((control) => !control.matches('[role]') || /button|link/.test(control.role ?? ''))
    .filter((control) => control.tabIndex < 0 || control.closest('[inert]') !== null)
    .map(({ outerHTML }) => outerHTML);
}

/** Texts whose colour is less than 4.5 : 1 from what is behind them (WCAG 2.2, 1.4.3). */
export function lowContrast(): string[] {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
  /** Whatever way a colour is written in: red, green, blue and opacity, from 0 to 255. */
  const bytesOf = (colour: string): number[] => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = bytesOf(colour).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element: Element | null): string => {
    if (element === null) return 'white';
    const { backgroundColor } = getComputedStyle(element);
    return bytesOf(backgroundColor)[3] === 255 ? backgroundColor : behind(element.parentElement);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = new Set<string>();
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent!.trim();
    const element = walker.currentNode.parentElement!;
    if (text === '' || !element.checkVisibility({ visibilityProperty: true })) continue;
    const [front, back] = [getComputedStyle(element).color, behind(element)];
    const [dark, light] = [luminance(front), luminance(back)].sort((a, b) => a - b);
    const ratio = (light! + 0.05) / (dark! + 0.05);
    if (ratio < 4.5) found.add(`${text}: ${front} on ${back}, ${ratio.toFixed(2)}`);
  }
  return [...found];
}

/** Controls that are hard to hit with a finger: less than 44 pixels high, or 24 for links in a line. */
export function tooSmall(): string[] {
  const controls = [...document.querySelectorAll<HTMLElement>('button, select, input, nav a')];
  return controls
    .filter((control) => control.checkVisibility() && !control.matches('[type=hidden]'))
    .filter((control) => {
      const target = control.closest('label.check') ?? control;
      const least = control.matches('.links a, .check input') ? 24 : 36;
      return target.getBoundingClientRect().height < least;
    })
    .map(({ outerHTML }) => outerHTML);
}
