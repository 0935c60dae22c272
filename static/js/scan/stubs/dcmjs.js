// Takes the place of dcmjs, DICOM's dictionary and file reader, which Cornerstone loads for metadata that our own provider answers.
class Unused {}
const silent = () => {};

/** Cornerstone gives each of its loggers a `getLogger` of its own, so each is an object of its own. */
const getLogger = () => ({ trace: silent, debug: silent, info: silent, warn: silent, error: (...said) => console.error(...said), setLevel: silent });

/** Any capitalised name passes for a keyword: Cornerstone checks its rules about display sets against the dictionary as it loads. */
const found = (target, name) => (/^[A-Z]/.test(String(name)) ? { tag: "(0000,0000)" } : undefined);
const described = (target, name) => found(target, name) && { value: found(target, name), configurable: true, enumerable: true };
const nameMap = new Proxy({}, { get: found, getOwnPropertyDescriptor: described });

export const log = { ...getLogger(), getLogger };
export const constants = {};
export default {
  async: { AsyncDicomReader: Unused },
  utilities: { DicomMetadataListener: Unused },
  data: { DicomMetaDictionary: { dictionary: {}, nameMap } },
};
