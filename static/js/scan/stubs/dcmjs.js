// Takes the place of dcmjs, DICOM's dictionary and file reader, which Cornerstone loads for metadata that our own provider returns.
class Unused {}
const silent = () => {};

/** Cornerstone assigns its own `getLogger` to each logger, so each is a separate object. */
const getLogger = () => ({ trace: silent, debug: silent, info: silent, warn: silent, error: (...details) => console.error(...details), setLevel: silent });

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
