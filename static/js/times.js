// Times in the reader's own zone: relative where they age, with the absolute time in the tooltip.
const absolute = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short" });
const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

export function ago(seconds) {
  const [, size, unit] = STEPS.find(([limit]) => seconds < limit);
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime][data-format]")) {
    const time = new Date(element.dateTime);
    if (Number.isNaN(time.getTime())) continue;
    element.title = absolute.format(time);
    const relative = element.dataset.format === "age";
    element.textContent = relative ? ago(Math.max(0, (Date.now() - time) / 1000)) : element.title;
  }
}
