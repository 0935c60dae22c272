// Side letters at the edges of a pane, where the header states PatientOrientation: they follow rotation and flips.
const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
const opposite = (direction) => [...direction].map((letter) => OPPOSITE[letter]).join("");

/** Directions at the {left, right, top, bottom} of the screen; null where the header does not state them. */
export function sidesOf({ image, axes: [rightX, downX, rightY, downY] }) {
  if (!image.orientation) return null;
  const [rows, columns] = image.orientation;
  const toward = (row, column) => {
    if (row) return row > 0 ? rows : opposite(rows);
    return column > 0 ? columns : opposite(columns);
  };
  const [right, bottom] = [toward(rightX, rightY), toward(downX, downY)];
  return { right, bottom, left: opposite(right), top: opposite(bottom) };
}

export function showSides(pane, figure) {
  const sides = sidesOf(pane);
  for (const [edge, text] of Object.entries(sides ?? {})) {
    let place = figure.querySelector(`.side-${edge}`);
    if (!place) {
      place = document.createElement("span");
      place.classList.add("side", `side-${edge}`);
      place.ariaHidden = "true";
      figure.append(place);
    }
    place.textContent = text;
  }
}
