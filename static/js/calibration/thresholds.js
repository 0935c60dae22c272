// Reads the measures at any threshold off the table of a chart, and puts the threshold into the form.
import { gettext, interpolate } from "../gettext.js";

const form = document.querySelector("[data-choices]");
const LEFT = 6, WIDTH = 348; // the plot within its SVG, as in webapp/pages/calibration/display.py

function start(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  const pick = figure.querySelector("[data-pick]");
  const [slider, output, button] = ["input", "output", "button"].map((name) => pick.querySelector(name));
  const mark = figure.querySelector("[data-mark]");
  const show = () => {
    const [threshold, sensitivity, specificity, false_alarms, alarms, ppv] = rows[slider.value];
    output.textContent = interpolate(
      gettext("Threshold %(threshold)s: sensitivity %(sensitivity)s, specificity %(specificity)s, false alarms %(false_alarms)s, alarms per 100 scans %(alarms)s, PPV %(ppv)s"),
      { threshold, sensitivity, specificity, false_alarms, alarms, ppv },
    );
    for (const end of ["x1", "x2"]) mark.setAttribute(end, LEFT + WIDTH * Number(threshold));
  };
  slider.value = [...figure.querySelectorAll("tbody tr")].findIndex((row) => row.hasAttribute("aria-current"));
  slider.addEventListener("input", show);
  button.addEventListener("click", () => {
    form.querySelector("[name=rule][value=chosen]").checked = true;
    const field = form.elements[`threshold-${figure.dataset.finding}`];
    field.value = rows[slider.value][0];
    field.focus();
  });
  pick.hidden = false;
  show();
}

for (const figure of document.querySelectorAll("[data-curve]")) start(figure);
