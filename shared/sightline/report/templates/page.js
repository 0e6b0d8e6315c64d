"use strict";
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
  const text = button.parentElement.querySelector("pre");
  const range = document.createRange();
  range.selectNodeContents(text);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  // The clipboard is closed to sandboxed frames; the old command works there, and at worst the text stays selected.
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
