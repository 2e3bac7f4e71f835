"use strict";
const zoom = document.getElementById("zoom");
const stage = zoom.querySelector(".stage");
const cards = [...document.querySelectorAll("button.card")];
let shown = 0;

function show(i) {
  shown = (i + cards.length) % cards.length;
  const card = cards[shown];
  stage.replaceChildren(card.querySelector(".picture").cloneNode(true), card.querySelector(".detail").cloneNode(true));
  if (!zoom.open) zoom.showModal();
}

cards.forEach((card, i) => card.addEventListener("click", () => show(i)));
zoom.addEventListener("click", () => zoom.close());
zoom.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
});
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
