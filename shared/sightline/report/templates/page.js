"use strict";
document.documentElement.classList.add("js");
function unfold() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") { target.open = true; }
}
addEventListener("hashchange", unfold);
unfold();
document.addEventListener("click", function (event) {
  const link = event.target.closest("a[href^='#']");
  const folded = link && document.getElementById(link.getAttribute("href").slice(1));
  if (folded && folded.tagName === "DETAILS") { folded.open = true; }
  const button = event.target.closest("button[data-copy]");
  if (button) { copy(button); }
  if (event.target.tagName === "IMG") { enlarge(event.target); }
});
function copy(button) {
  const text = button.parentElement.querySelector("pre, code");
  const range = document.createRange();
  range.selectNodeContents(text);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  // Sandboxed frames cannot use the clipboard API; execCommand works there, and if it fails the text stays selected.
  const done = document.execCommand("copy");
  button.textContent = done ? "Copied" : "Selected";
  setTimeout(function () { button.textContent = "Copy"; }, 1600);
}
function enlarge(image) {
  if (image.closest("dialog")) { image.closest("dialog").close(); return; }
  const dialog = document.createElement("dialog");
  dialog.append(Object.assign(new Image(), { src: image.src, alt: image.alt }));
  dialog.addEventListener("close", function () { dialog.remove(); });
  dialog.addEventListener("click", function () { dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

// Shows values at the pointer, or at the position set with the arrow keys.
function points(line) {
  if (!line.points) {
    line.points = line.dataset.values
      ? line.dataset.values.split(" ").map(function (pair) { return pair.split(":").map(Number); })
      : line.getAttribute("d").slice(1).split("L").map(function (pair) {
          const at = pair.split(",").map(Number);
          return [at[0] / 100, 1 - at[1] / 100];
        });
  }
  return line.points;
}
function valueAt(line, x) {
  const all = points(line);
  if (!line.dataset.values) {  // interpolate linearly between the points
    for (let index = 1; index < all.length; index += 1) {
      const from = all[index - 1], to = all[index];
      if (x <= to[0]) { return [x, from[1] + (to[1] - from[1]) * (to[0] > from[0] ? (x - from[0]) / (to[0] - from[0]) : 0)]; }
    }
    return all[all.length - 1];
  }
  return all.reduce(function (best, one) { return Math.abs(one[0] - x) < Math.abs(best[0] - x) ? one : best; });
}
function scaleOf(svg) {
  if (svg.hasAttribute("data-unit")) { return { left: 0, right: 100, low: 0, high: 1 }; }
  const parts = svg.dataset.chart.split(" ").map(Number);
  return { left: parts[0], right: parts[1], low: parts[2], high: parts[3] };
}
function shown(value) { return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))); }
function tell(svg, x) {
  const scale = scaleOf(svg), plot = svg.closest(".plot"), lines = Array.from(svg.querySelectorAll("path.line"));
  if (!lines.length) { return; }
  if (!svg.hasAttribute("data-unit")) {
    x = lines.map(function (line) { return valueAt(line, x)[0]; })
      .reduce(function (best, one) { return Math.abs(one - x) < Math.abs(best - x) ? one : best; });
  } else { x = Math.round(x * 100) / 100; }
  svg.at = x;
  const tip = plot.tip || (plot.tip = document.createElement("div")), hair = plot.hair || (plot.hair = document.createElement("div"));
  tip.className = "tip";
  hair.className = "hair";
  tip.setAttribute("role", "status");
  tip.replaceChildren(svg.dataset.x + " " + shown(x));
  lines.forEach(function (line) {
    const at = valueAt(line, x);
    if (at[0] !== x) { return; }
    const row = document.createElement("div"), swatch = document.createElement("i");
    swatch.style.background = line.style.stroke;
    row.append(swatch, line.dataset.name + " " + shown(at[1]));
    tip.append(row);
  });
  plot.append(hair, tip);
  const box = svg.getBoundingClientRect(), around = plot.getBoundingClientRect();
  const width = svg.viewBox.baseVal.width;
  const place = box.left - around.left + box.width * (scale.left + (x - scale.low) / (scale.high - scale.low) * (scale.right - scale.left)) / width;
  hair.style.left = place + "px";
  hair.style.top = box.top - around.top + "px";
  hair.style.height = box.height + "px";
  tip.style.top = box.top - around.top + 8 + "px";
  const page = document.documentElement.clientWidth;
  const left = place + 10 + tip.offsetWidth > around.width ? place - 10 - tip.offsetWidth : place + 10;
  tip.style.left = Math.max(4 - around.left, Math.min(left, page - 4 - around.left - tip.offsetWidth)) + "px";
}
function hush(svg) {
  const plot = svg.closest(".plot");
  if (plot.tip) { plot.tip.remove(); plot.hair.remove(); }
}
document.querySelectorAll(".plot svg").forEach(function (svg) {
  svg.addEventListener("pointermove", function (event) {
    const scale = scaleOf(svg), box = svg.getBoundingClientRect();
    const inside = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const share = Math.min(1, Math.max(0, (inside - scale.left) / (scale.right - scale.left)));
    tell(svg, scale.low + share * (scale.high - scale.low));
  });
  svg.addEventListener("pointerleave", function () { hush(svg); });
  svg.addEventListener("blur", function () { hush(svg); });
  svg.addEventListener("keydown", function (event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const line = svg.querySelector("path.line");
    if (event.key === "Escape") { hush(svg); }
    if (!step || !line) { return; }
    event.preventDefault();
    const all = points(line).map(function (one) { return one[0]; });
    const known = svg.at === undefined ? -1 : all.findIndex(function (x) { return x >= svg.at; });
    tell(svg, all[known < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, known + step))]);
  });
});

// The index of runs: the filter shows rows that contain its text; column headings sort by data-key, empty keys last.
document.querySelectorAll("input[data-filter]").forEach(function (input) {
  const rows = Array.from(document.getElementById(input.dataset.filter).tBodies[0].rows);
  const texts = rows.map(function (row) {
    return (row.textContent + " " + Array.from(row.querySelectorAll("[title]"), function (part) { return part.title; }).join(" ")).toLowerCase();
  });
  function filter() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    rows.forEach(function (row, index) {
      row.hidden = !words.every(function (word) { return texts[index].includes(word); });
      left += row.hidden ? 0 : 1;
    });
    document.getElementById("filtered").textContent = (left === rows.length ? left : left + " of " + rows.length) + (rows.length === 1 ? " run" : " runs");
    document.getElementById("nothing-fits").hidden = left > 0;
  }
  input.addEventListener("input", filter);
  filter();
});
document.querySelectorAll("th[data-sort]").forEach(function (head) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", function () {
    const falling = head.getAttribute("aria-sort") === "ascending" || (!head.hasAttribute("aria-sort") && head.dataset.sort === "number");
    head.parentElement.querySelectorAll("[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0], column = head.cellIndex, sign = falling ? -1 : 1;
    const keyed = Array.from(body.rows, function (row) { return [row.cells[column].dataset.key || "", row]; });
    keyed.sort(function (a, b) {
      if (!a[0] || !b[0]) { return (a[0] ? 0 : 1) - (b[0] ? 0 : 1); }
      return sign * (head.dataset.sort === "number" ? a[0] - b[0] : a[0].localeCompare(b[0]));
    });
    body.append(...keyed.map(function (entry) { return entry[1]; }));
  });
});
