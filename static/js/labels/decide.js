// Deciding over readers: the image with the boxes that they drew.
import { onKeys } from "../keys.js";
import { Boxes } from "./boxes.js";
import { ImageCanvas } from "./image.js";
import { imageKeys, watchImage } from "./view.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const described = read("image");
const image = new ImageCanvas(document.querySelector("[data-canvas]"), described);
const boxes = new Boxes(image, read("names"), { fixed: true });

watchImage(image, boxes);
onKeys(imageKeys(image, boxes));
boxes.set(described.boxes);
image.open().then(
  () => { document.querySelector("[data-preview]").remove(); document.querySelector("[data-decide]").dataset.shown = "1"; },
  () => { document.querySelector("[data-no-image]").hidden = false; },
);
