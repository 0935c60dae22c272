// Times in the reader's own zone: relative where they age, the absolute in the tooltip.
const absolute = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short" });
const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

export function ago(seconds) {
  const [, unit, word] = STEPS.find(([limit]) => seconds < limit);
  return `${Math.floor(seconds / unit)} ${word}`;
}

export function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime][data-as]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.title = absolute.format(moment);
    const relative = element.dataset.as === "age";
    element.textContent = relative ? ago(Math.max(0, (Date.now() - moment) / 1000)) : absolute.format(moment);
  }
}
