// Adjudication: the image with the regions that its readers drew.
import { onKeys } from "../keys.js";
import { imageKeys, openImage } from "./controls.js";
import { ImageCanvas } from "./image.js";
import { Regions } from "./regions.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const metadata = read("image");
const image = new ImageCanvas(document.querySelector("[data-canvas]"), metadata);
const regions = new Regions(image, read("names"));

onKeys(imageKeys(image, regions));
regions.set(metadata.regions);
openImage(document.querySelector("[data-adjudicate]"), image, regions);
