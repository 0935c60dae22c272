// Texts in the reader's language, from Django's JavaScript catalog where the page loads one, else as written.
export const gettext = (text) => globalThis.django?.gettext?.(text) ?? text;

export const ngettext = (one, many, number) => globalThis.django?.ngettext?.(one, many, number) ?? (number === 1 ? one : many);

/** Fills in `values` for placeholders such as %(name)s: a translation may have them in another order. */
export const interpolate = (text, values) => text.replace(/%\((\w+)\)s/g, (placeholder, name) => values[name] ?? placeholder);
