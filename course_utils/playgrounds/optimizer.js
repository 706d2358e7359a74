// What do optimizers do with the same surface? A race from one start, drawn on the plane and as loss against the step.
//
// Three parts: the mathematics (surfaces, rules, run: pure, and tested equal to the course's Python), the drawing on
// two canvases, and `render`, which ties both to a model that has get, set, on, off and save_changes, as anywidget does.

// ---- The mathematics ------------------------------------------------------------------------------------------------

const SIGMA = 0.2, DEPTH = 1 / (2 * Math.PI * SIGMA ** 2);
const CENTRES = [[1, -0.5], [-1, 0.5], [-0.5, -0.8]];
const bump = (x, y, [a, b]) => DEPTH * Math.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * SIGMA ** 2));
const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const square = (low, high) => [[low, high], [low, high]];
const BEALE = [[1.5, 1], [2.25, 2], [2.625, 3]];  // terms (c - x + x y^k)^2

/** name -> { value, gradient, domain, minima, lowest, start, lr, lr_adaptive }; points are [w1, w2]. */
export const surfaces = {
  quadratic: {
    value: ([x, y]) => (x * x + 20 * y * y) / 2,
    gradient: ([x, y]) => [x, 20 * y],
    domain: square(-2, 2), minima: [[0, 0]], lowest: 0, start: [-1.8, 1.2], lr: 0.05, lr_adaptive: 0.1,
  },
  ravine: {
    value: ([x, y]) => Math.tanh(x) ** 2 + 0.01 * Math.abs(x) + sigmoid(y),
    gradient: ([x, y]) => [
      2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2) + 0.01 * Math.sign(x), sigmoid(y) * (1 - sigmoid(y)),
    ],
    domain: square(-5, 5), minima: [], lowest: 0, start: [2, 3], lr: 0.2, lr_adaptive: 0.1,
  },
  "steep optima": {
    value: ([x, y]) => -CENTRES.reduce((sum, c) => sum + bump(x, y, c), 0),
    gradient: ([x, y]) => [0, 1].map((i) =>
      CENTRES.reduce((sum, c) => sum + bump(x, y, c) * ([x, y][i] - c[i]) / SIGMA ** 2, 0)),
    domain: square(-2, 2), minima: CENTRES, lowest: -DEPTH, start: [-0.4, -0.1], lr: 0.003, lr_adaptive: 0.02,
  },
  Rosenbrock: {
    value: ([x, y]) => (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    gradient: ([x, y]) => [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
    domain: [[-2, 2], [-1, 3]], minima: [[1, 1]], lowest: 0, start: [-1.2, 1], lr: 0.001, lr_adaptive: 0.1,
  },
  Beale: {
    value: ([x, y]) => BEALE.reduce((sum, [c, k]) => sum + (c - x + x * y ** k) ** 2, 0),
    gradient: ([x, y]) => [
      BEALE.reduce((sum, [c, k]) => sum + 2 * (c - x + x * y ** k) * (y ** k - 1), 0),
      BEALE.reduce((sum, [c, k]) => sum + 2 * (c - x + x * y ** k) * x * k * y ** (k - 1), 0),
    ],
    domain: square(-4.5, 4.5), minima: [[3, 0.5]], lowest: 0, start: [1, 1.5], lr: 0.003, lr_adaptive: 0.1,
  },
  Himmelblau: {
    value: ([x, y]) => (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2,
    gradient: ([x, y]) => [
      4 * x * (x * x + y - 11) + 2 * (x + y * y - 7), 2 * (x * x + y - 11) + 4 * y * (x + y * y - 7),
    ],
    domain: square(-5, 5), lowest: 0, start: [-0.5, -0.8], lr: 0.005, lr_adaptive: 0.1,
    minima: [[3, 2], [-2.805118086952745, 3.131312518250573], [-3.779310253377747, -3.28318599128617],
      [3.584428340330492, -1.848126526964404]],
  },
};

const zeros = [0, 0];
const each = (f, a, b, c) => [f(a[0], b?.[0], c?.[0]), f(a[1], b?.[1], c?.[1])];  // entry by entry

/** name -> (gradient, state, hyper-parameters) => [delta to add, new state]. The first state is {}. */
export const rules = {
  SGD(grad, state, { lr }) {
    return [each((g) => -lr * g, grad), state];
  },
  momentum(grad, { buf = zeros }, { lr, momentum = 0.9 }) {
    buf = each((b, g) => momentum * b + g, buf, grad);
    return [each((b) => -lr * b, buf), { buf }];
  },
  "momentum (EMA)"(grad, { m = zeros }, { lr, beta1 = 0.9 }) {
    m = each((m, g) => beta1 * m + (1 - beta1) * g, m, grad);
    return [each((m) => -lr * m, m), { m }];
  },
  Nesterov(grad, { buf = zeros }, { lr, momentum = 0.9 }) {
    buf = each((b, g) => momentum * b + g, buf, grad);
    return [each((g, b) => -lr * (g + momentum * b), grad, buf), { buf }];
  },
  AdaGrad(grad, { v = zeros }, { lr, eps = 1e-10 }) {
    v = each((v, g) => v + g * g, v, grad);
    return [each((g, v) => -lr * g / (Math.sqrt(v) + eps), grad, v), { v }];
  },
  RMSProp(grad, { v = zeros }, { lr, beta2 = 0.99, eps = 1e-8 }) {
    v = each((v, g) => beta2 * v + (1 - beta2) * g * g, v, grad);
    return [each((g, v) => -lr * g / (Math.sqrt(v) + eps), grad, v), { v }];
  },
  Adam(grad, { step = 0, m = zeros, v = zeros }, { lr, beta1 = 0.9, beta2 = 0.999, eps = 1e-8 }) {
    const t = step + 1;
    m = each((m, g) => beta1 * m + (1 - beta1) * g, m, grad);
    v = each((v, g) => beta2 * v + (1 - beta2) * g * g, v, grad);
    const m_hat = each((m) => m / (1 - beta1 ** t), m);  // removes the bias towards m_0 = 0
    const v_hat = each((v) => v / (1 - beta2 ** t), v);
    return [each((m, v) => -lr * m / (Math.sqrt(v) + eps), m_hat, v_hat), { step: t, m, v }];
  },
};

const FAR = 1e6;  // a path that is this far from the origin will not come back

/** Walk `steps` steps and return the points, the start first; fewer where the path diverges, and it ends there. */
export function run(surface, rule, start, hyper, steps) {
  const path = [start];
  let w = start, state = {}, delta;
  while (path.length <= steps) {
    [delta, state] = rule(surface.gradient(w), state, hyper);
    w = each((a, d) => a + d, w, delta);
    if (!(Math.hypot(...w) < FAR)) break;  // NaN is not below either
    path.push(w);
  }
  return path;
}

// ---- Looks: the colours and dashes that the methods have in every figure of the course --------------------------------

const DASHED = [5.6, 2.6], DOTTED = [2, 2.6], DASHDOT = [9, 2.6, 2, 2.6];
export const looks = {
  SGD: { color: "#0072B2", dash: [] },
  momentum: { color: "#D55E00", dash: DASHED },
  "momentum (EMA)": { color: "#E69F00", dash: DOTTED },
  Nesterov: { color: "#CC79A7", dash: DASHDOT },
  AdaGrad: { color: "#56B4E9", dash: [] },
  RMSProp: { color: "#7F7F7F", dash: DASHED },
  Adam: { color: "#009E73", dash: [] },
};
const ADAPTIVE = ["AdaGrad", "RMSProp", "Adam"];  // their rate is in units of w, that of the others in w^2 / loss
const FLOOR = 1e-12;  // below it a loss is called 0
const BANDS = 14;

/** A number as it is read: 0.0032, 41, 3.1 × 10⁻⁹. */
function written(x) {
  if (x <= FLOOR) return "under 10⁻¹²";
  if (x >= 1e-3 && x < 1e4) return String(Number(x.toPrecision(2)));
  const [digits, power] = x.toExponential(1).split("e");
  return `${digits} × ${tenTo(Number(power))}`;
}
const tenTo = (power) => "10" + [...String(power)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
const signed = (x) => String(Number(x.toFixed(3))).replace("-", "−");

/** Multiples of a round number (1, 2 or 5 times a power of ten) from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((round) => round * power >= rough);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

// ---- Drawing ----------------------------------------------------------------------------------------------------------

/** Return log10 of the loss above its minimum on a grid of points that covers the picture, row by row from the top. */
function levelsOf({ value, lowest, domain: [[left, right], [bottom, top]] }, columns, rows) {
  const level = new Float64Array(columns * rows), w = [0, 0];
  for (let k = 0; k < level.length; k++) {
    w[0] = left + (right - left) * (k % columns) / (columns - 1);
    w[1] = top - (top - bottom) * Math.floor(k / columns) / (rows - 1);
    level[k] = Math.log10(Math.max(value(w) - lowest, FLOOR));
  }
  return level;
}

const MESH = 3;  // pixels between grid points: in between, levels are smooth enough to be interpolated

/** Return the surface as a picture: tints in log-spaced bands, darker where the loss is low, and a line between them. */
function relief(surface, width, height, low, high) {
  const columns = Math.ceil(width / MESH) + 1, level = levelsOf(surface, columns, Math.ceil(height / MESH) + 1);
  const sorted = level.slice().sort(), least = sorted[Math.floor(sorted.length / 100)];
  const scale = BANDS / (sorted[sorted.length - 1] - least);
  const [dark, light] = [low, high].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const tints = Array.from({ length: BANDS + 1 }, (_, k) => dark.map((from, i) => from + (light[i] - from) * k / BANDS));
  const image = new ImageData(width, height), { data } = image;
  for (let row = 0, at = 0; row < height; row++) {
    const v = (row % MESH) / MESH, base = Math.floor(row / MESH) * columns;
    for (let column = 0; column < width; column++, at += 4) {
      const u = (column % MESH) / MESH, k = base + Math.floor(column / MESH);
      const across = level[k + 1] - level[k], down = level[k + columns] - level[k];
      const twist = level[k + columns + 1] - level[k + columns] - across;
      const band = (level[k] + u * across + v * down + u * v * twist - least) * scale;
      const slope = Math.sqrt((across + v * twist) ** 2 + (down + u * twist) ** 2) * scale / MESH;
      const pixels = Math.abs(band - Math.round(band)) / (slope + 1e-9);  // to the nearest line
      const line = band > 0.5 && band < BANDS - 0.5 && pixels < 1 ? (1 - pixels) * 0.32 : 0;
      const tint = tints[Math.min(Math.max(Math.floor(band), 0), BANDS)];
      for (let i = 0; i < 3; i++) data[at + i] = tint[i] + line * (128 - tint[i]);
      data[at + 3] = 255;
    }
  }
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** The part of a canvas within its axes, in CSS pixels; the margins grow with the text, whose size is 14 units. */
function boxOf({ clientWidth: width, clientHeight: height }, unit) {
  const [left, top] = [58 * unit, 8 * unit];
  return { left, top, width: width - left - 16 * unit, height: height - top - 42 * unit };
}

/** Fit the canvas to the pixels of the screen; return its context, cleared, and its box. */
function sheetOf(canvas, unit) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(3, devicePixelRatio * (canvas.getBoundingClientRect().width / width || 1));
  const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, box: boxOf(canvas, unit), ratio };
}

/** Draw ticks and names of both axes. `x` and `y`: { name, marks: [[pixel, text], ...] }. */
function drawAxes({ pen, box }, { x, y }, theme) {
  const base = box.top + box.height, { unit } = theme;
  pen.font = `${12 * unit}px ${theme.font}`;
  pen.fillStyle = theme.ink;
  pen.strokeStyle = theme.ink;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const [at, text] of x.marks) {
    pen.moveTo(at, base); pen.lineTo(at, base + 4);
    pen.fillText(text, at, base + 7 * unit);
  }
  pen.fillText(x.name, box.left + box.width / 2, base + 23 * unit);
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const [at, text] of y.marks) {
    pen.moveTo(box.left, at); pen.lineTo(box.left - 4, at);
    pen.fillText(text, box.left - 7 * unit, at);
  }
  pen.moveTo(box.left, box.top); pen.lineTo(box.left, base); pen.lineTo(box.left + box.width, base);
  pen.stroke();
  pen.save();
  pen.translate(11 * unit, box.top + box.height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(y.name, 0, 0);
  pen.restore();
}

/** Draw one line with a rim, so that it is seen on any ground, and a dot at its end. */
function drawLine({ pen }, points, look, theme) {
  const line = new Path2D();
  points.forEach(([x, y], i) => (i ? line.lineTo(x, y) : line.moveTo(x, y)));
  pen.lineJoin = "round";
  pen.setLineDash([]);
  pen.globalAlpha = 0.8;
  pen.strokeStyle = theme.rim;
  pen.lineWidth = 3.6;
  pen.stroke(line);
  pen.globalAlpha = 1;
  pen.setLineDash(look.dash);
  pen.strokeStyle = look.color;
  pen.lineWidth = 1.9;
  pen.stroke(line);
  pen.setLineDash([]);
  const [x, y] = points[points.length - 1];
  pen.beginPath();
  pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fillStyle = look.color;
  pen.fill();
  pen.strokeStyle = theme.rim;
  pen.lineWidth = 1.2;
  pen.stroke();
}

/** Run `draw` with everything outside of the axes cut off, or what is `beyond` pixels outside. */
function within({ pen, box }, draw, beyond = 0) {
  pen.save();
  pen.beginPath();
  pen.rect(box.left, box.top, box.width + beyond, box.height + beyond);
  pen.clip();
  draw();
  pen.restore();
}

function drawCross(pen, x, y, theme) {
  pen.beginPath();
  for (const s of [-1, 1]) { pen.moveTo(x - 5, y - 5 * s); pen.lineTo(x + 5, y + 5 * s); }
  for (const [width, color] of [[5, theme.ink], [2.5, theme.paper]]) {
    pen.lineWidth = width; pen.strokeStyle = color;
    pen.stroke();
  }
}

function drawStart(pen, x, y, theme) {
  pen.lineWidth = 2;
  pen.strokeStyle = theme.ink;
  pen.fillStyle = theme.paper;
  pen.fillRect(x - 6, y - 6, 12, 12);
  pen.strokeRect(x - 6, y - 6, 12, 12);
}

/** Return the functions from w to pixels of the plane, horizontally and vertically. */
function scalesOf(surface, box) {
  const [[left, right], [bottom, top]] = surface.domain;
  return [(x) => box.left + (x - left) / (right - left) * box.width,
    (y) => box.top + (top - y) / (top - bottom) * box.height];
}

/** Draw the paths on the plane up to step `shown`. */
function drawPlane(canvas, surface, start, paths, shown, theme, background) {
  const sheet = sheetOf(canvas, theme.unit), { pen, box, ratio } = sheet, [toX, toY] = scalesOf(surface, box);
  const picture = background(surface, Math.round(box.width * ratio), Math.round(box.height * ratio), theme);
  pen.drawImage(picture, box.left, box.top, box.width, box.height);
  within(sheet, () => {
    for (const [x, y] of surface.minima) drawCross(pen, toX(x), toY(y), theme);
    for (const [name, path] of paths) {
      drawLine(sheet, path.slice(0, shown + 1).map(([x, y]) => [toX(x), toY(y)]), looks[name], theme);
    }
  });
  drawStart(pen, toX(start[0]), toY(start[1]), theme);
  const [across, upwards] = surface.domain.map(([low, high]) => ticks(low, high, 5));
  drawAxes(sheet, {
    x: { name: "w₁", marks: across.map((x) => [toX(x), signed(x)]) },
    y: { name: "w₂", marks: upwards.map((y) => [toY(y), signed(y)]) },
  }, theme);
}

/** Draw loss above its minimum against the step, on a log scale whose range is that of the whole race. */
function drawCurve(canvas, losses, shown, steps, theme) {
  const sheet = sheetOf(canvas, theme.unit), { pen, box } = sheet, all = losses.flatMap(([, values]) => values);
  const first = losses.length ? losses[0][1][0] : 1;
  const high = Math.ceil(Math.log10(Math.max(FLOOR, Math.min(Math.max(...all, FLOOR), 100 * first)) * 1.01));
  const low = Math.min(high - 1, Math.floor(Math.log10(Math.max(Math.min(...all, 1e12), FLOOR))));
  const toX = (step) => box.left + step / steps * box.width;
  const toY = (loss) => box.top + (high - Math.log10(Math.max(loss, FLOOR))) / (high - low) * box.height;
  const stride = Math.ceil((high - low) / 6);
  const powers = ticks(low, high, (high - low) / stride).filter(Number.isInteger);
  pen.strokeStyle = theme.line;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const power of powers) { pen.moveTo(box.left, toY(10 ** power)); pen.lineTo(box.left + box.width, toY(10 ** power)); }
  pen.moveTo(toX(shown), box.top); pen.lineTo(toX(shown), box.top + box.height);
  pen.stroke();
  within(sheet, () => {
    for (const [name, values] of losses) {
      drawLine(sheet, values.slice(0, shown + 1).map((loss, step) => [toX(step), toY(loss)]), looks[name], theme);
    }
  }, 5);
  drawAxes(sheet, {
    x: { name: "step", marks: ticks(0, steps, 5).map((step) => [toX(step), String(step)]) },
    y: { name: "loss above its minimum", marks: powers.map((power) => [toY(10 ** power), tenTo(power)]) },
  }, theme);
}

// ---- The figure: what is on the page, and what happens when it is touched ----------------------------------------------

const slider = (name, words, min, max) =>
  `<label>${words} <span class="pg-value" aria-hidden="true"></span>
   <input type="range" name="${name}" min="${min}" max="${max}" step="0.05"></label>`;
// Rates move on a log scale; so does what is forgotten, 1 - β, as a memory of 1 / (1 - β) steps is what is felt.
const scales = {
  lr: { to: (value) => Math.log10(value), from: (at) => Number((10 ** at).toPrecision(2)) },
  beta: { to: (value) => -Math.log10(1 - value), from: (at) => Number((1 - (10 ** -at).toPrecision(2)).toFixed(5)) },
};
const scaleOf = (name) => (name.startsWith("lr") ? scales.lr : scales.beta);
const sample = ({ color, dash }) =>
  `<svg viewBox="0 0 30 10" aria-hidden="true"><path d="M0 5H30" stroke="${color}" stroke-width="2.5"
   stroke-dasharray="${dash.join(" ")}"/></svg>`;
const PAGE = `
<div class="pg-sheet pg-double" data-lm-suppress-shortcuts="true">
  <div class="pg-main">
    <canvas class="pg-figure pg-plane" tabindex="0" role="application"></canvas>
    <div class="pg-player">
      <button type="button" name="play">Play</button><button type="button" name="step">Step</button>
      <button type="button" name="reset">Reset</button>
      <label><input type="range" name="shown" min="0" aria-label="Step that is shown"><span class="pg-value" aria-hidden="true"></span></label>
    </div>
  </div>
  <div class="pg-controls">
    <label>Surface <select name="surface">${Object.keys(surfaces).map((name) => `<option>${name}</option>`).join("")}
    </select></label>
    ${slider("lr", "η of SGD family", -4, 1)} ${slider("lr_adaptive", "η of adaptive", -4, 0)}
    ${slider("momentum", "Momentum μ, β₁", 0, 2)} ${slider("beta2", "β₂", 0, 3)}
  </div>
  <canvas class="pg-figure pg-curve" role="img" aria-label="Loss above its minimum against the step"></canvas>
  <fieldset class="pg-legend"><legend>Loss above its minimum</legend>
    ${Object.keys(rules).map((name) => `<label><input type="checkbox" name="method" value="${name}">${
      sample(looks[name])}<span>${name}</span><span class="pg-value" aria-hidden="true"></span></label>`).join("")}
  </fieldset>
  <p class="pg-readout" aria-live="polite"></p>
</div>`;
const STATE = ["surface", "start", "lr", "lr_adaptive", "momentum", "beta2", "steps", "methods"];
const PACE = 40;  // steps a second when it plays
const CALM = 700;  // milliseconds without a change before the outcome is said

function render({ model, el }) {
  el.classList.add("playground");
  el.innerHTML = PAGE;
  const find = (selector) => el.querySelector(selector);
  const plane = find(".pg-plane"), curve = find(".pg-curve"), control = (name) => find(`[name="${name}"]`);
  const initial = Object.fromEntries(STATE.map((name) => [name, model.get(name)]));
  let shown = model.get("steps"), playing = 0, frame = 0, speech = 0, hidden = 0, stale = true, unsaved = false, paths, losses;
  let cached = {};

  const unit = () => parseFloat(getComputedStyle(plane).fontSize) / 14;
  const schedule = () => { frame ||= requestAnimationFrame(draw); };
  const change = () => { stale = true; schedule(); };
  const set = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    unsaved = true;
    change();
  };

  function walk() {
    const surface = surfaces[model.get("surface")], momentum = model.get("momentum");
    const hyper = { momentum, beta1: momentum, beta2: model.get("beta2") };
    paths = Object.keys(rules).filter((name) => model.get("methods").includes(name)).map((name) => {
      const lr = model.get(ADAPTIVE.includes(name) ? "lr_adaptive" : "lr");
      return [name, run(surface, rules[name], model.get("start"), { ...hyper, lr }, model.get("steps"))];
    });
    losses = paths.map(([name, path]) => [name, path.map((w) => surface.value(w) - surface.lowest)]);
    shown = Math.min(shown, model.get("steps"));
  }

  function background(surface, width, height, { low, high }) {
    const key = [model.get("surface"), width, height, low, high].join();
    if (cached.key !== key) cached = { key, picture: relief(surface, width, height, low, high) };
    return cached.picture;
  }

  function draw(now) {
    frame = 0;
    clearTimeout(hidden);
    if (playing) advance(now);
    if (stale) walk();
    if (unsaved) model.save_changes();
    if (stale) showState();
    stale = unsaved = false;
    showStep();
    if (!plane.clientWidth) return void (hidden = setTimeout(schedule, CALM));  // a slide that is not up yet
    const style = getComputedStyle(el), theme = { font: style.fontFamily, unit: unit() };
    for (const name of ["ink", "paper", "line", "low", "high", "rim"]) {
      theme[name] = style.getPropertyValue(`--pg-${name}`).trim();
    }
    drawPlane(plane, surfaces[model.get("surface")], model.get("start"), paths, shown, theme, background);
    drawCurve(curve, losses, shown, model.get("steps"), theme);
  }

  function showState() {
    for (const name of ["lr", "lr_adaptive", "momentum", "beta2"]) {
      const value = model.get(name), text = String(value);
      control(name).value = scaleOf(name).to(value);
      control(name).setAttribute("aria-valuetext", text);
      control(name).previousElementSibling.textContent = text;
    }
    control("surface").value = model.get("surface");
    control("shown").max = model.get("steps");
    for (const box of el.querySelectorAll('[name="method"]')) box.checked = model.get("methods").includes(box.value);
    const [w1, w2] = model.get("start").map(signed);
    plane.setAttribute("aria-label", `Start of the race at w1 = ${w1}, w2 = ${w2}. Arrow keys move it, with Shift further.`);
  }

  /** The outcome of a method at the step that is shown, in a few words. */
  function outcome(values) {
    if (shown >= values.length) return `diverged, step ${values.length}`;
    return written(values[shown]);
  }

  function showStep() {
    const steps = model.get("steps"), ends = new Map(losses.map(([name, values]) => [name, outcome(values)]));
    control("shown").value = shown;
    control("shown").setAttribute("aria-valuetext", `${shown} of ${steps}`);
    control("shown").nextElementSibling.textContent = `${shown} of ${steps}`;
    control("play").textContent = playing ? "Pause" : "Play";
    for (const box of el.querySelectorAll('[name="method"]')) {
      box.parentElement.lastElementChild.textContent = ends.get(box.value) ?? "";
    }
    clearTimeout(speech);
    if (!playing) speech = setTimeout(say, CALM);
  }

  function say() {
    const last = (values) => (shown < values.length ? values[shown] : Infinity);
    const order = [...losses].sort(([, a], [, b]) => last(a) - last(b));
    const parts = order.map(([name, values]) => `${name} ${outcome(values).replace(", step", " at step")}`);
    find(".pg-readout").textContent = parts.length
      ? `Loss above its minimum after ${shown} steps, best first: ${parts.join("; ")}.` : "No method is chosen.";
  }

  // Playing: the clock decides how far, so that a slow machine drops pictures and not time.
  function advance(now) {
    playing = Math.min(playing, now);
    shown = Math.min(Math.floor((now - playing) / 1000 * PACE), model.get("steps"));
    if (shown < model.get("steps")) schedule(); else playing = 0;
  }
  function play() {
    const steps = model.get("steps"), from = shown < steps ? shown : 0;
    if (playing) playing = 0;
    else if (matchMedia("(prefers-reduced-motion: reduce)").matches) shown = steps;
    else playing = performance.now() - from / PACE * 1000;
    schedule();
  }
  const stopAt = (step) => { playing = 0; shown = Math.min(step, model.get("steps")); schedule(); };

  function moveTo(w1, w2) {
    const clamp = (w, [low, high]) => Number(Math.min(Math.max(w, low), high).toFixed(3));
    const { domain } = surfaces[model.get("surface")];
    set({ start: [clamp(w1, domain[0]), clamp(w2, domain[1])] });
  }
  function follow(event) {
    const { left, top, width } = plane.getBoundingClientRect(), scale = plane.clientWidth / width;  // slides are scaled
    const [[w1, right], [bottom, w2]] = surfaces[model.get("surface")].domain, box = boxOf(plane, unit());
    moveTo(w1 + (right - w1) * ((event.clientX - left) * scale - box.left) / box.width,
      w2 - (w2 - bottom) * ((event.clientY - top) * scale - box.top) / box.height);
  }
  plane.addEventListener("pointerdown", (event) => { plane.setPointerCapture(event.pointerId); follow(event); });
  plane.addEventListener("pointermove", (event) => { if (plane.hasPointerCapture(event.pointerId)) follow(event); });
  plane.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const [low, high] = surfaces[model.get("surface")].domain[0], step = (high - low) * (event.shiftKey ? 0.05 : 0.01);
    const [w1, w2] = model.get("start");
    moveTo(w1 + way[0] * step, w2 + way[1] * step);
  });
  el.addEventListener("keydown", (event) => { if (event.key !== "Escape") event.stopPropagation(); });  // not to the slides

  el.addEventListener("input", ({ target }) => {
    const { name, value } = target;
    if (name === "shown") stopAt(Number(value));
    else if (name === "surface") set({ surface: value, ...startOf(value) });
    else if (name === "method") set({ methods: [...el.querySelectorAll('[name="method"]:checked')].map((box) => box.value) });
    else set({ [name]: scaleOf(name).from(Number(value)) });
  });
  const startOf = (name) => (({ start, lr, lr_adaptive }) => ({ start, lr, lr_adaptive }))(surfaces[name]);
  control("play").addEventListener("click", play);
  control("step").addEventListener("click", () => stopAt(shown < model.get("steps") ? shown + 1 : 1));
  control("reset").addEventListener("click", () => { set(initial); stopAt(initial.steps); });

  for (const name of STATE) model.on(`change:${name}`, change);
  const sizes = new ResizeObserver(schedule), themes = new MutationObserver(schedule);
  for (const canvas of [plane, curve]) sizes.observe(canvas);
  for (const root of [document.documentElement, document.body]) {
    themes.observe(root, { attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
  }
  schedule();
  return () => {
    for (const name of STATE) model.off(`change:${name}`, change);
    sizes.disconnect(); themes.disconnect(); cancelAnimationFrame(frame);
    clearTimeout(speech); clearTimeout(hidden);
  };
}

export default { render };
