// Brings the canvases of the page to life as they come, and keeps their view when the mesh behind them is made anew.
"use strict";

const START = { azimuth: 25, elevation: 15 };
let painter = null;

function come(canvas) {
  canvas.dataset.ready = "true";
  const view = { ...START, start: START, zoom: 1, viewers: [] };
  fetch(canvas.dataset.mesh)
    .then((answer) => (answer.ok ? answer.text() : answer.json().then((told) => { throw new Error(told.detail); })))
    .then((text) => {
      painter = painter || new Painter();
      const viewer = new Viewer(canvas, { textContent: text }, view, painter);
      const clay = canvas.parentElement.querySelector(".clay");
      clay.addEventListener("click", () => {
        viewer.clay = !viewer.clay;
        clay.setAttribute("aria-pressed", viewer.clay);
        viewer.redraw();
      });
      return viewer.show();
    })
    .catch((error) => {
      console.error(error);
      canvas.parentElement.querySelector(".hint").textContent = `The mesh cannot be shown: ${error.message}`;
    });
}

// So that the page shows the same job when it is loaded again.
function remember() {
  const shown = document.querySelector("[data-job]"), place = shown && `/?job=${encodeURIComponent(shown.dataset.job)}`;
  if (place && place !== location.pathname + location.search) history.replaceState(null, "", place);
}

function look() {
  remember();
  document.querySelectorAll("canvas[data-mesh]:not([data-ready])").forEach(come);
}

new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
look();
