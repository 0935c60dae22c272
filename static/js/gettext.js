// Words in the reader's language: from Django's catalogue, which the page loads where there is one, else as they stand.
export const gettext = (words) => globalThis.django?.gettext?.(words) ?? words;

export const ngettext = (one, many, number) => globalThis.django?.ngettext?.(one, many, number) ?? (number === 1 ? one : many);

/** Puts `values` where their names stand, as %(name)s: a translation may have them in another order. */
export const interpolate = (words, values) => words.replace(/%\((\w+)\)s/g, (named, name) => values[name] ?? named);
