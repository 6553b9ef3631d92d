import type { Pressable } from './busy.js';

/** How the fields of a form are sent. */
export type FormEncoding = 'urlencoded' | 'form-data' | 'json';

/** The form field for the key that the server's strategy `token` reads. @internal */
export const KEY_FIELD = '_idempotency_token';

/** Where and how a form is sent, if the form itself does not say so. */
export interface FormRequestOptions {
  /** @default the form's `action`, or the page */
  readonly url?: string;
  /** @default 'POST' */
  readonly method?: string;
  /** In JSON, a member is text, or a list of texts if fields share a name. @default as `enctype` */
  readonly encoding?: FormEncoding;
  /** More headers, such as `Authorization`. @default none */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The request that submitting the form would send, without the field for the key. @internal */
export function formRequest(
  form: HTMLFormElement,
  submitter: HTMLElement | null,
  options: FormRequestOptions,
): { readonly url: string; readonly init: RequestInit } {
  const action = submitter?.getAttribute('formaction') ?? form.getAttribute('action');
  const url = new URL(options.url ?? action ?? '', document.baseURI).href;
  const data = new FormData(form, submitter);
  data.delete(KEY_FIELD);
  const headers = new Headers(options.headers);
  const encoding = options.encoding ?? encodingOf(form);
  if (encoding === 'json') headers.set('Content-Type', 'application/json');
  const body = encoded(data, encoding);
  return { url, init: { method: options.method ?? 'POST', headers, body } };
}

/** What submits the form. @internal */
export function submittersOf(form: HTMLFormElement): Pressable[] {
  return Array.from(form.elements).filter(
    (element): element is Pressable =>
      (element instanceof HTMLButtonElement || element instanceof HTMLInputElement) &&
      (element.type === 'submit' || element.type === 'image'),
  );
}

function encodingOf(form: HTMLFormElement): FormEncoding {
  return form.getAttribute('enctype') === 'multipart/form-data' ? 'form-data' : 'urlencoded';
}

function encoded(data: FormData, encoding: FormEncoding): BodyInit {
  if (encoding === 'form-data') return data;
  const texts = [...data].map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : value.name,
  ]);
  if (encoding === 'urlencoded') return new URLSearchParams(texts);
  const names = new Set(texts.map(([name]) => name));
  const valuesOf = (name: string): string[] =>
    texts.filter(([other]) => other === name).map(([, value]) => value);
  const member = (values: string[]): string | string[] | undefined =>
    values.length > 1 ? values : values[0];
  return JSON.stringify(
    Object.fromEntries([...names].map((name) => [name, member(valuesOf(name))])),
  );
}

/** What a form or a button is for, as far as the page shows. @internal */
export function defaultIntent(element: HTMLElement): string {
  // Not `element.id`, because a field with that name would hide it.
  const own = element.getAttribute('id') ?? element.getAttribute('name');
  const alike = Array.from(document.getElementsByTagName(element.tagName));
  return `${location.pathname}#${own ?? alike.indexOf(element)}`;
}
