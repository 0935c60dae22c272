// Deciding over readers: the picture with the boxes that they drew.
import { onKeys } from "../keys.js";
import { Boxes } from "./boxes.js";
import { Picture } from "./picture.js";
import { pictureKeys, watchPicture } from "./view.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const described = read("picture");
const picture = new Picture(document.querySelector("[data-canvas]"), described);
const boxes = new Boxes(picture, read("names"), { fixed: true });

watchPicture(picture, boxes);
onKeys(pictureKeys(picture, boxes));
boxes.set(described.boxes);
picture.open().then(
  () => { document.querySelector("[data-preview]").remove(); document.querySelector("[data-decide]").dataset.shown = "1"; },
  () => { document.querySelector("[data-no-picture]").hidden = false; },
);
