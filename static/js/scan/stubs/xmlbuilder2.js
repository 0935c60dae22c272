// Takes the place of what a bundled library imports and never uses here.
export const convert = undefined;
export const create = undefined;
