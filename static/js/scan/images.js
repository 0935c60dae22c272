// Image loader and metadata for Cornerstone: raw 16-bit grey levels, so no codec, worker or WASM is needed.
import { Enums, imageLoader, metaData, utilities } from "@cornerstonejs/core";
import { greyLevels } from "../http.js";

const SCHEME = "hilum";
const { MetadataModules } = Enums;
const described = new Map();
const images = new Map();

/** Fetches an image that webapp/pages/scan/images.py describes, once; resolves to its image id. */
export async function fetched(image) {
  const imageId = `${SCHEME}:${image.id}`;
  described.set(imageId, image);
  if (!images.has(imageId)) images.set(imageId, createImage(imageId, await greyLevels(image)));
  return imageId;
}

/** The image behind what Cornerstone calls a target. */
export const imageOf = (targetId) => described.get(targetId.replace(/^imageId:/, ""));

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

/** The grey levels below which each of `shares` of an area [left, top, right, bottom] lies; at most some 250,000 pixels are looked at. */
export function percentiles(image, area, shares) {
  const pixels = image.getPixelData();
  const [left, top, right, bottom] = area.map(Math.round);
  const step = Math.max(1, Math.floor(Math.sqrt(((right - left) * (bottom - top)) / 250000)));
  const found = [];
  for (let y = top; y < bottom; y += step) {
    for (let x = left; x < right; x += step) found.push(pixels[y * image.columns + x]);
  }
  found.sort((a, b) => a - b);
  return shares.map((share) => found[Math.min(Math.floor(share * found.length), found.length - 1)]);
}

function createImage(imageId, pixels) {
  const image = described.get(imageId);
  const { rows, columns } = image;
  const [rowPixelSpacing, columnPixelSpacing] = image.spacing ?? [1, 1];
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    width: columns, height: rows, numberOfComponents: 1, scalarData: pixels, id: imageId,
  });
  return {
    imageId, rows, columns, height: rows, width: columns, color: false, rgba: false, numberOfComponents: 1,
    // The server has applied the modality LUT: GPU and CPU rendering disagree about it.
    slope: 1, intercept: 0, windowCenter: image.windowCenter, windowWidth: image.windowWidth,
    minPixelValue: 0, maxPixelValue: 65535, // possible values; `extremes` finds the actual ones
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
    usingDefaultValues: spacing === null, // else lengths would be shown in millimetres
  };
}

function metadata(type, imageId) {
  const image = described.get(imageId);
  if (!image) return undefined;
  switch (type) {
    case MetadataModules.IMAGE_PLANE: return { ...plane(image), frameOfReferenceUID: imageId };
    case MetadataModules.IMAGE_PIXEL: return {
      samplesPerPixel: 1, photometricInterpretation: "MONOCHROME2", rows: image.rows, columns: image.columns,
      bitsAllocated: 16, bitsStored: 16, highBit: 15, pixelRepresentation: 0,
    };
    case MetadataModules.GENERAL_SERIES: return { modality: image.modality };
    case MetadataModules.VOI_LUT: return { windowCenter: [image.windowCenter], windowWidth: [image.windowWidth] };
    case MetadataModules.MODALITY_LUT: return { rescaleSlope: 1, rescaleIntercept: 0 };
    default: return undefined;
  }
}

export function serve() {
  imageLoader.registerImageLoader(SCHEME, (imageId) => ({ promise: Promise.resolve(images.get(imageId)) }));
  metaData.addProvider(metadata, 100);
}
