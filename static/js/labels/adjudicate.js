// Adjudication: the image with the boxes that its readers drew.
import { onKeys } from "../keys.js";
import { Boxes } from "./boxes.js";
import { imageKeys, openImage } from "./controls.js";
import { ImageCanvas } from "./image.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const metadata = read("image");
const image = new ImageCanvas(document.querySelector("[data-canvas]"), metadata);
const boxes = new Boxes(image, read("names"));

onKeys(imageKeys(image, boxes));
boxes.set(metadata.boxes);
openImage(document.querySelector("[data-adjudicate]"), image, boxes);
