// Pictures as the server describes them, for Cornerstone: raw 16-bit grey levels, so no codec, worker or WASM is needed.
import { Enums, imageLoader, metaData, utilities } from "@cornerstonejs/core";

const SCHEME = "hilum";
const { MetadataModules } = Enums;
const described = new Map();
const images = new Map();

/** Fetches what webapp/pages/pictures.py describes, once, and answers its image id. Rejects when it does not come. */
export async function fetched(picture) {
  const imageId = `${SCHEME}:${picture.id}`;
  described.set(imageId, picture);
  if (!images.has(imageId)) images.set(imageId, imageOf(imageId, await pixelsOf(picture)));
  return imageId;
}

/** The picture behind what Cornerstone calls a target. */
export const pictureOf = (targetId) => described.get(targetId.replace(/^imageId:/, ""));

const pixelsOf = async (picture) => {
  const answer = await fetch(picture.pixels);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const pixels = new Uint16Array(await answer.arrayBuffer());
  if (pixels.length !== picture.rows * picture.columns) throw new Error("the picture is incomplete");
  return pixels;
};

/** The lowest and the highest grey level of an image. */
export function extremes(image) {
  const pixels = image.getPixelData();
  let [low, high] = [65535, 0];
  for (let at = 0; at < pixels.length; at += 1) {
    const level = pixels[at];
    if (level < low) low = level;
    if (level > high) high = level;
  }
  return [low, high];
}

function imageOf(imageId, pixels) {
  const picture = described.get(imageId);
  const { rows, columns } = picture;
  const [rowPixelSpacing, columnPixelSpacing] = picture.spacing ?? [1, 1];
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    width: columns, height: rows, numberOfComponents: 1, scalarData: pixels, id: imageId,
  });
  return {
    imageId, rows, columns, height: rows, width: columns, color: false, rgba: false, numberOfComponents: 1,
    // The server has applied the modality LUT: GPU and CPU rendering disagree about it.
    slope: 1, intercept: 0, windowCenter: picture.windowCenter, windowWidth: picture.windowWidth,
    minPixelValue: 0, maxPixelValue: 65535, // what may occur: what does is looked for when it is asked for
    invert: false, dataType: "Uint16Array",
    rowPixelSpacing, columnPixelSpacing, sizeInBytes: pixels.byteLength, voxelManager,
    getPixelData: () => pixels, getCanvas: undefined,
  };
}

function plane({ rows, columns, spacing }) {
  const [rowPixelSpacing, columnPixelSpacing] = spacing ?? [1, 1];
  return {
    rows, columns, rowPixelSpacing, columnPixelSpacing, pixelSpacing: [rowPixelSpacing, columnPixelSpacing],
    imageOrientationPatient: [1, 0, 0, 0, 1, 0], rowCosines: [1, 0, 0], columnCosines: [0, 1, 0],
    imagePositionPatient: [0, 0, 0], frameOfReferenceUID: "",
    usingDefaultValues: spacing === null, // else lengths would be told in false millimetres
  };
}

function metadata(type, imageId) {
  const picture = described.get(imageId);
  if (!picture) return undefined;
  switch (type) {
    case MetadataModules.IMAGE_PLANE: return { ...plane(picture), frameOfReferenceUID: imageId };
    case MetadataModules.IMAGE_PIXEL: return {
      samplesPerPixel: 1, photometricInterpretation: "MONOCHROME2", rows: picture.rows, columns: picture.columns,
      bitsAllocated: 16, bitsStored: 16, highBit: 15, pixelRepresentation: 0,
    };
    case MetadataModules.GENERAL_SERIES: return { modality: picture.modality };
    case MetadataModules.VOI_LUT: return { windowCenter: [picture.windowCenter], windowWidth: [picture.windowWidth] };
    case MetadataModules.MODALITY_LUT: return { rescaleSlope: 1, rescaleIntercept: 0 };
    default: return undefined;
  }
}

export function serve() {
  imageLoader.registerImageLoader(SCHEME, (imageId) => ({ promise: Promise.resolve(images.get(imageId)) }));
  metaData.addProvider(metadata, 100);
}
