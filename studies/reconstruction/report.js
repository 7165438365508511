// Wakes up what comes near the window: viewers and videos, whose data wait as text in the page.
"use strict";

function startCard(card, painter) {
  const start = { azimuth: Number(card.dataset.azimuth), elevation: Number(card.dataset.elevation) };
  const view = { ...start, start, zoom: 1, viewers: [] };
  for (const canvas of card.querySelectorAll("canvas")) {
    const source = document.getElementById(canvas.dataset.mesh);
    const viewer = new Viewer(canvas, source, view, painter);
    whenNear(canvas, () => viewer.show().catch((error) => sayWhy(canvas, error)));
    const clay = canvas.closest(".result").querySelector(".clay");
    clay.addEventListener("click", () => {
      viewer.clay = !viewer.clay;
      clay.setAttribute("aria-pressed", viewer.clay);
      viewer.redraw();
    });
  }
}

function startVideo(video) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  whenNear(video, () => {
    if (!video.src) {
      const data = document.getElementById(video.dataset.video).textContent;
      video.src = URL.createObjectURL(new Blob([bytesOf(data)], { type: "video/mp4" }));
    }
    if (still) video.controls = true;
    else video.play().catch(() => { video.controls = true; });
  }, () => video.pause());
}

function whenNear(element, come, leave = () => {}) {
  new IntersectionObserver(
    (entries) => (entries[entries.length - 1].isIntersecting ? come() : leave()),
    { rootMargin: "300px" },
  ).observe(element);
}

function sayWhy(canvas, error) {
  console.error(error);
  canvas.closest(".stage").querySelector(".hint").textContent = `The mesh cannot be shown: ${error.message}`;
}

let painter = null;
try {
  painter = new Painter();
} catch (error) {
  document.querySelectorAll("canvas").forEach((canvas) => sayWhy(canvas, error));
}
if (painter) document.querySelectorAll(".card").forEach((card) => startCard(card, painter));
document.querySelectorAll("video[data-video]").forEach(startVideo);
