/** What a form or a button is for, as far as the page tells. @internal */
export function defaultIntent(element: HTMLElement): string {
  // Not `element.id`: a field of that name stands in its place.
  const own = element.getAttribute('id') ?? element.getAttribute('name');
  const alike = Array.from(document.getElementsByTagName(element.tagName));
  return `${location.pathname}#${own ?? alike.indexOf(element)}`;
}
