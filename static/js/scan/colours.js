// Perceptually uniform colour maps that colour-blind readers can use, 33 stops joined by straight lines. Inferno (S. van
// der Walt, N. Smith, CC0) stands in classifier/inference/explain.py as well; cividis is by Nuñez, Anderton and Renslow (2018), CC0.
const STOPS = {
  inferno: "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e 7d1e6d 8a226a 972766 a32c61 b0315b bc3754 c73e4c d24644 db503b e45a31 eb6628 f1731d f68013 f98e09 fb9d07 fcac11 fbbc21 f9cb35 f5db4c f2ea69 f3f68a fcffa4",
  cividis: "00224e 00285b 002e6a 053371 1a386f 273e6e 32436d 3b496c 434e6c 4b546c 535a6d 5a5f6e 61656f 686a71 6f7073 767676 7d7c78 848279 8c8878 938e78 9b9476 a39a74 aba072 b4a76f bcae6c c4b468 cdbb63 d5c25e dec958 e7d150 f0d846 f9e03a fee838",
};
const ANCHORS = Object.fromEntries(Object.entries(STOPS).map(([name, stops]) => [
  name, stops.split(" ").map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16))),
]));

export const COLOURS = Object.keys(STOPS);

/** Colour of a value in 0..1 as [red, green, blue], each 0..255. */
export function colourOf(value, name = COLOURS[0]) {
  const anchors = ANCHORS[name];
  const place = Math.min(Math.max(value, 0), 1) * (anchors.length - 1);
  const low = Math.min(Math.floor(place), anchors.length - 2);
  const share = place - low;
  return anchors[low].map((channel, index) => channel + (anchors[low + 1][index] - channel) * share);
}
