// The turning overlay: bonds as lines, colored by element, the near ones drawn last and darker.
"use strict";
(function () {
  const canvas = document.getElementById("molecules");
  const data = JSON.parse(document.getElementById("overlay-data").textContent);
  const context = canvas.getContext("2d");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const light = { H: "#a0a6ab", C: "#4a4f54", N: "#2f5fd0", O: "#d03a2f", S: "#b58900", F: "#2f9e44", Cl: "#2f9e44", P: "#d9730d" };
  const bright = { H: "#7d8388", C: "#d0d4d8", N: "#7fa6ff", O: "#ff8a80", S: "#e6c34a", F: "#7bd88f", Cl: "#7bd88f", P: "#ffb066" };
  let turn = 0.5, tilt = 0.35, held = null, size = 1;
  for (const frame of data.frames) {
    for (let k = 0; k !== frame.length; k += 3) {
      size = Math.max(size, Math.hypot(frame[k], frame[k + 1], frame[k + 2]));
    }
  }
  function draw() {
    const colors = dark.matches ? bright : light;
    const other = dark.matches ? "#c8a2ff" : "#7a3fb8";
    const ct = Math.cos(turn), st = Math.sin(turn), cx = Math.cos(tilt), sx = Math.sin(tilt);
    const scale = 0.46 * Math.min(canvas.width, canvas.height) / size;
    const lines = [];
    for (const frame of data.frames) {
      const place = function (atom) {
        const x = frame[3 * atom], y = frame[3 * atom + 1], z = frame[3 * atom + 2];
        const a = ct * x + st * z, c = ct * z - st * x;
        return [canvas.width / 2 + scale * a, canvas.height / 2 - scale * (cx * y - sx * c), cx * c + sx * y];
      };
      for (const bond of data.bonds) {
        const from = place(bond[0]), to = place(bond[1]);
        const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2, (from[2] + to[2]) / 2];
        lines.push([from, middle, data.elements[bond[0]]], [to, middle, data.elements[bond[1]]]);
      }
    }
    lines.sort(function (a, b) { return a[0][2] - b[0][2]; });
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.lineCap = "round";
    for (const line of lines) {
      const near = (line[0][2] / size + 1) / 2;
      context.globalAlpha = 0.2 + 0.4 * near;
      context.lineWidth = 2 + 3 * near;
      context.strokeStyle = colors[line[2]] || other;
      context.beginPath();
      context.moveTo(line[0][0], line[0][1]);
      context.lineTo(line[1][0], line[1][1]);
      context.stroke();
    }
  }
  let before = null;
  function step(time) {
    if (before !== null) {
      if (held === null) { turn += 0.0005 * Math.min(time - before, 100); }
    }
    before = time;
    draw();
    if (!still.matches) { window.requestAnimationFrame(step); }
  }
  canvas.addEventListener("pointerdown", function (event) {
    held = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", function (event) {
    if (held === null) { return; }
    turn += 0.01 * (event.clientX - held[0]);
    tilt += 0.01 * (event.clientY - held[1]);
    held = [event.clientX, event.clientY];
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, function () { held = null; });
  }
  dark.addEventListener("change", draw);
  window.addEventListener("beforeprint", draw);
  window.requestAnimationFrame(step);
}());
