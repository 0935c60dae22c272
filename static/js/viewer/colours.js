// Inferno (S. van der Walt and N. Smith, CC0): perceptually uniform, 33 stops joined by straight lines.
const STOPS = "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e 7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c73e4c d24644 db503b e45a31 eb6628 f1731d f68013 f98e09 fb9d07 fcac11 fbbc21 f9cb35 f5db4c f2ea69 f3f68a fcffa4";

const anchors = STOPS.split(" ").map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));

/** Colour of a value in 0..1 as [red, green, blue], each 0..255. */
export function inferno(value) {
  const place = Math.min(Math.max(value, 0), 1) * (anchors.length - 1);
  const low = Math.min(Math.floor(place), anchors.length - 2);
  const share = place - low;
  return anchors[low].map((channel, index) => channel + (anchors[low + 1][index] - channel) * share);
}
